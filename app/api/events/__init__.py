"""Events and logs of jobs: pages and streams."""
