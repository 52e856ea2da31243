"""From a consistent snapshot into a sink; import `open_snapshot`, and `Dump` with its `DumpPlan`."""
