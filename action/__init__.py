"""The program behind `action.yml`: runners as tasks of Amazon ECS, started and stopped by a step.

It runs on the machine of a workflow's job, where nothing of ours is installed: Python 3.8 or
later, its standard library, and the `aws` command.
"""
