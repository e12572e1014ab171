"""Places that hold a remote: a folder, S3, and all that fsspec knows. `redun.store.remote.backends.base` says what each must do."""
