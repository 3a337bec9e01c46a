"""Articles in German and Danish, and what their readers do: each signal has an article to find."""

from __future__ import annotations

from service.languages import Language
from service.records import Article, Domain, Signal

Act = tuple[Domain, str, str]
"""Domain and text of a signal, and the id of the article that it is about."""

_HOUR_MS = 3_600_000

_GERMAN = {
    "kaffee": (
        "Warum die Kaffeepreise in Europa weiter steigen",
        "Dürre in Brasilien und teure Frachten treiben den Preis für Rohkaffee in die Höhe.",
    ),
    "nachtzug": (
        "Neuer Nachtzug verbindet Hamburg mit Lissabon",
        "Der Schlafwagen fährt dreimal in der Woche und hält auch in Paris und Bordeaux.",
    ),
    "gletscher": (
        "Alpengletscher schmelzen schneller als erwartet",
        "Forscher messen auf dem Aletsch den größten Verlust an Eis seit hundert Jahren.",
    ),
    "waermepumpe": (
        "Bundestag streitet über die Förderung von Wärmepumpen",
        "Die Koalition will Zuschüsse für den Tausch alter Gasheizungen kürzen.",
    ),
    "wolf": (
        "Wölfe kehren in den Harz zurück",
        "Schäfer fordern höhere Zäune, Naturschützer sehen ein Rudel mit fünf Jungen.",
    ),
    "brot": (
        "Bäckereien kämpfen um ihren Nachwuchs",
        "Immer weniger junge Leute lernen, wie man Brot aus Sauerteig backt.",
    ),
    "elbe": (
        "Hochwasser an der Elbe: Dresden schließt die Flutmauern",
        "Der Pegel soll bis zum Wochenende auf sieben Meter wachsen.",
    ),
    "fahrrad": (
        "Städte bauen Schnellwege für Radfahrer",
        "Wer mit dem Elektrofahrrad zur Arbeit pendelt, soll in Hannover bald ohne Ampel fahren.",
    ),
    "mars": (
        "Sonde findet gefrorenes Wasser auf dem Mars",
        "Das Radar entdeckte Eis unter dem Staub eines Kraters nahe dem Äquator.",
    ),
    "miete": (
        "Mieten in Berlin sinken zum ersten Mal seit Jahren",
        "Neue Wohnungen am Stadtrand entspannen den Markt, sagt der Mieterverein.",
    ),
    "geige": (
        "Gestohlene Stradivari nach vierzig Jahren entdeckt",
        "Die Geige lag bei einem Händler in Wien, der ihren Wert nicht kannte.",
    ),
    "fussball": (
        "Freiburg gewinnt das Pokalfinale im Elfmeterschießen",
        "Der Torwart hielt drei Schüsse und wurde von den Anhängern gefeiert.",
    ),
    "bienen": (
        "Imker melden den mildesten Winter für ihre Bienen",
        "Nur wenige Völker starben, doch die Varroamilbe breitet sich aus.",
    ),
    "wahl": (
        "Landtagswahl in Thüringen: Umfragen zeigen ein knappes Rennen",
        "Drei Parteien liegen gleichauf, viele Wähler sind noch unentschlossen.",
    ),
    "theater": (
        "Das Schauspielhaus Bochum spart an seinen Premieren",
        "Der Intendant streicht zwei Stücke, weil die Stadt weniger zahlt.",
    ),
}
_GERMAN_ACTS: list[Act] = [
    ("search", "warum steigt der preis für kaffee", "kaffee"),
    ("search", "Zugtickets Hamburg – Lissabon Schlafwagen", "nachtzug"),
    ("search", "wie schnell schmilzt der aletschgletscher eis", "gletscher"),
    ("search", "wärmepumpe förderung kosten", "waermepumpe"),
    ("search", "günstige elektrofahrräder kaufen", "fahrrad"),
    ("browse", "Wolfsrudel im Harz gesichtet | Naturschutzmagazin", "wolf"),
    ("browse", "Pegel der Elbe in Dresden heute - Tagesschau", "elbe"),
    ("browse", "Umfrage zur Wahl in Thüringen | ZEIT", "wahl"),
    ("purchase", "Gärkorb für Brot aus Sauerteig, 25 cm, rund", "brot"),
    ("purchase", "Imkerhut für Bienen mit Schleier Größe M weiß", "bienen"),
    ("purchase", "Violinsaiten für die Geige, Satz 4 Stück", "geige"),
    ("video", "Pokalfinale: alle Tore und das Elfmeterschießen (Highlights)", "fussball"),
    ("video", "Eis auf dem Mars – Terra X Doku", "mars"),
    ("news", "Berliner Mieten: Wohnungen werden billiger", "miete"),
    ("news", "Bochums Schauspielhaus muss sparen", "theater"),
]

_DANISH = {
    "kaffe": (
        "Derfor stiger kaffepriserne igen",
        "Tørke i Brasilien har gjort kaffebønner dyrere end nogensinde før.",
    ),
    "nattog": (
        "Nyt nattog kører fra København til Rom",
        "Sovevognen skal holde i Hamborg og Verona og kører to gange om ugen.",
    ),
    "isbjerg": (
        "Indlandsisen smelter hurtigere end ventet",
        "Forskere i Grønland måler det største tab af is i tredive år.",
    ),
    "varme": (
        "Regeringen giver ny støtte til varmepumper",
        "Husejere med gasfyr kan søge om tilskud fra januar.",
    ),
    "ulv": (
        "Ulven har fået hvalpe i Vestjylland",
        "Landmænd kræver bedre hegn om deres får.",
    ),
    "broed": (
        "Københavns bagere lever af rugbrød og surdej",
        "Kunderne står i kø for et brød, der tager tre dage at bage.",
    ),
    "storm": (
        "Stormflod rammer de sydfynske øer",
        "Vandstanden i Faaborg steg to meter, og havnen blev lukket.",
    ),
    "cykel": (
        "Elcykler overhaler bilen i de store byer",
        "Flere pendler på cykel, siden supercykelstierne åbnede i Aarhus.",
    ),
    "maane": (
        "Dansk satellit skal kortlægge månens kratere",
        "Raketten sendes op fra Florida, hvis vejret tillader det.",
    ),
    "husleje": (
        "Huslejen falder for første gang i ti år",
        "Der er bygget så mange lejligheder, at udlejerne må sænke prisen.",
    ),
    "viking": (
        "Amatørarkæolog fandt vikingeskat med metaldetektor",
        "Sølvmønterne lå på en mark ved Hobro og er tusind år gamle.",
    ),
    "haandbold": (
        "Håndboldherrerne vinder guld efter forlænget spilletid",
        "Målmanden reddede det sidste straffekast.",
    ),
    "bier": (
        "Biavlere advarer om en ny mide",
        "Bierne overlever vinteren, men honningen bliver mindre.",
    ),
    "valg": (
        "Kommunalvalget bliver det tætteste i årtier",
        "Borgmestrene i fire store byer kan miste magten, viser målinger.",
    ),
    "teater": (
        "Det Kongelige Teater sparer balletten væk",
        "Danserne protesterer mod, at tre forestillinger bliver aflyst.",
    ),
}
_DANISH_ACTS: list[Act] = [
    ("search", "hvorfor stiger prisen på kaffe", "kaffe"),
    ("search", "togbilletter København – Rom sovevogn", "nattog"),
    ("search", "hvor hurtigt smelter isen i grønland", "isbjerg"),
    ("search", "varmepumpe tilskud pris", "varme"),
    ("search", "billige elcykler tilbud", "cykel"),
    ("browse", "Ulve i Vestjylland: har de hvalpe? | Naturmagasinet", "ulv"),
    ("browse", "Vandstand og stormflod i Faaborg - DR Nyheder", "storm"),
    ("browse", "Målinger før kommunalvalget | Altinget", "valg"),
    ("purchase", "Hævekurv til surdejsbrød og rugbrød, 25 cm, rund", "broed"),
    ("purchase", "Metaldetektor til børn, sort", "viking"),
    ("purchase", "Bidragt til biavlere med slør størrelse M hvid", "bier"),
    ("video", "Håndboldfinalen: det sidste straffekast (højdepunkter)", "haandbold"),
    ("video", "Sådan skal satellitten kortlægge månen", "maane"),
    ("news", "Lejligheder bliver billigere: huslejen er faldet", "husleje"),
    ("news", "Ballettens dansere protesterer mod aflyste forestillinger", "teater"),
]

ACTS: dict[Language, list[Act]] = {"german": _GERMAN_ACTS, "danish": _DANISH_ACTS}


def articles_in(language: Language) -> list[Article]:
    """Fifteen articles, an hour apart."""
    texts = {"german": _GERMAN, "danish": _DANISH}[language]
    return [
        Article(id_, title, abstract, published_ms=(place + 1) * _HOUR_MS)
        for place, (id_, (title, abstract)) in enumerate(texts.items())
    ]


def signals_in(language: Language) -> list[Signal]:
    """A signal for each act, in their order; its `item` is the article that it is about."""
    return [
        Signal(place + 1, domain, text, f"s{place}", item)
        for place, (domain, text, item) in enumerate(ACTS[language])
    ]
