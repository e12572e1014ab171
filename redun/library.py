"""Everything that registers tasks of redun's own, for code that meets their names in stored expressions."""

import redun.evaluation.failure
import redun.forms
import redun.functools
import redun.job_info
import redun.root
import redun.scripting
import redun.subrun
import redun.tools  # noqa: F401
