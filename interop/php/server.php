<?php
// php server.php unix:///run/app.sock | tcp://127.0.0.1:0: serves one client, and says what it has served.
require __DIR__ . '/frames.php';

$listener = stream_socket_server($argv[1]) ?: exit(1);
echo stream_socket_get_name($listener, false), "\n"; // the port, where it was 0
$client = stream_socket_accept($listener, 30);
echo echo_frames($client, $client), " messages\n";
