# unicorn: as many workers as there are slow clients, and more.
worker_processes 6
listen '127.0.0.1:8000'
