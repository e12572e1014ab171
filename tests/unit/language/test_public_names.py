"""Import paths that scripts use: each name is there."""

from __future__ import annotations

from importlib import import_module

import pytest

NAMES = {
    "redun": "AWSBatchExecutor AWSGlueExecutor AliasExecutor Dir DockerExecutor File GCPBatchExecutor Handle K8SExecutor LocalExecutor "
    "PartialTask Scheduler Task __version__ catch cond get_context get_current_namespace get_current_scheduler get_task_registry "
    "merge_handles namespace register_executor run script set_current_scheduler task throw version",
    "redun.task": "CacheCheckValid CacheResult CacheScope PartialTask SchedulerTask Task TaskRegistry get_task_registry "
    "get_tuple_type_length scheduler_task split_task_fullname task wraps_task",
    "redun.handle": "Handle get_fullname get_handle_class",
    "redun.expression": "ApplyExpression Expression QuotedExpression SchedulerExpression SimpleExpression TaskExpression "
    "ValueExpression get_lazy_operation quote",
    "redun.value": "Bool DatetimeType EnumType FileCache Function InvalidValueError MIME_TYPE_PICKLE MetaValue NoneType ProxyValue Set "
    "TypeError TypeRegistry Value function_type get_raw_type_name get_type_registry is_unknown_function make_unknown_function",
    "redun.scheduler": "CacheCheckValid CacheResult CacheScope Config DryRunResult ErrorValue Handle Job JobInfo NoCurrentScheduler "
    "Promise Scheduler SchedulerError Task TaskExpression catch catch_all cond get_current_scheduler get_task_registry merge_handles "
    "root_task Thread fork_thread join_thread subrun "
    "scheduler_task set_current_scheduler task throw with_export_options",
    "redun.functools": "apply_func as_task compose const delay eval_ flat_map flatten force identity map_ no_prov seq starmap zip_",
    "redun.tools": "copy_dir copy_file copy_files debug_task render_template",
    "redun.scripting": "DEFAULT_SHELL ScriptError exec_script get_command_eof get_task_command get_wrapped_command prepare_command "
    "script script_task",
    "redun.context": "get_context get_context_value",
    "redun.namespace": "compute_namespace get_current_namespace namespace",
    "redun.config": "Config create_config_section",
    "redun.tags": "ANY_VALUE format_tag_key_value format_tag_value parse_tag_key_value parse_tag_value str2literal",
    "redun.promise": "Promise wait_promises",
    "redun.utils": "MultiMap add_import_path format_table get_func_source iter_nested_value json_dumps map_nested_value merge_dicts "
    "pickle_dump pickle_dumps pickle_loads pickle_preview str2bool trim_string",
    "redun.hashing": "Hash hash_bytes hash_stream hash_struct hash_tag_bytes hash_text",
    "redun.logging": "log_levels logger",
    "redun.executors.base": "Executor ExecutorError get_executor_class get_executor_from_config get_executors_from_config "
    "load_task_module register_executor",
    "redun.executors.local": "LocalExecutor PROCESS_MODE THREAD_MODE",
    "redun.executors.alias": "AliasExecutor",
    "redun.pytest": "scheduler",
}


@pytest.mark.parametrize("module", NAMES)
def test_every_public_name_can_be_imported(module: str) -> None:
    missing = [name for name in NAMES[module].split() if not hasattr(import_module(module), name)]
    assert missing == []


@pytest.mark.parametrize("module", NAMES)
def test_a_name_that_is_not_there_is_an_attribute_error(module: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        import_module(module).no_such_name  # noqa: B018
