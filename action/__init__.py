"""The program behind `action.yml`: a step starts and stops runners as tasks of Amazon ECS.

It runs on the machine of a workflow's job, and can only use what is there: Python 3.8 or later, its
standard library, and the `aws` command.
"""
