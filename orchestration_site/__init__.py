import sys

from orchestration_site.collector import space_out_collections

# Before anything large is imported: with Python's own thresholds the collector looks at all of it again and again while
# it is loaded, which is a seventh of a start, and of every command.
space_out_collections()

# redis-py imports OpenTelemetry's metrics wherever they are installed, whether or not anybody measures: 1.5 MB in every
# process. Nothing here uses them (traces need none), so before it comes to that they are said to be absent.
sys.modules.setdefault("opentelemetry.sdk.metrics", None)  # type: ignore[arg-type] # None is Python's word for that
