"""pytest-celery on local processes instead of Docker containers.

pytest-celery's nodes, clusters and set-ups talk to objects shaped like docker-py's
``Container``. This package gives them such objects over processes of this machine, so
that the plugin's own classes run unchanged where no Docker engine is to be had.

``process``    what docker-py's Container is to pytest-celery, over a local server
``worker``     a worker's process: content folder, command, environment
``containers`` the plugin's container classes, told to look at local ports
``fixtures``   the plugin's Docker fixtures, overridden
"""
