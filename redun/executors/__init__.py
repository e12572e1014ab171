"""Executors: where the functions of tasks run. One file each, loaded only when a configuration or a task names it."""
