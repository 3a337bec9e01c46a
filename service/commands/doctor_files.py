"""What `interests doctor` finds of the files of students and of experiments."""

from __future__ import annotations

from service import wiring
from service.commands.findings import Finding
from service.errors import ConfigurationError
from service.settings import Settings
from service.students import ConfiguredStudents
from service.wiring_students import configured_students, servable_of

_MEND = "mend it: gateways go on with the last good one, and none starts with this one"


def file_findings(settings: Settings) -> tuple[list[Finding], ConfiguredStudents | None]:
    """What is found of both files, as a gateway that starts reads them, and the students.

    The students are `None` where they cannot be used; what experiments ask of them is unknown then.
    """
    try:
        students = configured_students(settings)
    except ConfigurationError as error:
        remedy = "do as it says, or name another student's file: INTERESTS_STUDENTS__MAIN__MANIFEST"
        if settings.students_file is not None:
            remedy = _MEND
        return [Finding("students", str(error), remedy)], None
    findings = []
    if settings.students_file is not None:
        told = f"{settings.students_file} has no fault; {students.default} serves by default"
        findings.append(Finding("students", told))
    if settings.experiments_file is not None:
        findings.append(_experiments(settings, students))
    return findings, students


def _experiments(settings: Settings, students: ConfiguredStudents) -> Finding:
    try:
        wiring.open_experiments(settings, servable_of(students))
    except ConfigurationError as error:
        return Finding("file of experiments", str(error), _MEND)
    told = f"{settings.experiments_file} has no fault by itself, and these students can serve it"
    return Finding("file of experiments", told)
