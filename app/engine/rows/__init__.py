"""
Rows of tables as chunks of SQL text: read, proven, compared.

Import `TableSql` for queries, `prove_tables`, `measure_drift`, and from `chunks` what reads a range.
"""
