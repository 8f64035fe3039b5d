"""The outcome: rows, verdicts, what the proxy is worth, time; in tables and figures."""
