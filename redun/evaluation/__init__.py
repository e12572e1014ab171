"""The reducer: expressions to values, one job per task call, each found again or run, and recorded."""
