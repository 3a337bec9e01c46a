"""From the streams of events to files that analyses read: docs/exports.md."""
