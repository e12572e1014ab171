"""Where task functions run: the protocol of an executor, and one module for each kind."""
