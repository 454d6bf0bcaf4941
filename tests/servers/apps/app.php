<?php
usleep(1000 * (int) $_SERVER['QUERY_STRING']);
echo "Hello, world!\n";
