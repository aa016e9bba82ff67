<?php
// php client.php unix:///run/app.sock | unix://@app | tcp://127.0.0.1:9501: many requests under way at once.
require __DIR__ . '/frames.php';

// As many as the sockets' buffers hold. With more, server and client may both wait for the other to read.
const UNDER_WAY = 100;

$url = str_replace('://@', "://\0", $argv[1]); // an abstract name begins with a zero byte
$server = stream_socket_client($url) ?: exit(1);
$messages = ['', 'hello', "\0\xff\n", str_repeat('x', 100000)];
for ($i = 0; $i < 10000; $i++) {
    $messages[] = "request $i";
}
foreach ($messages as $i => $message) {
    if ($i >= UNDER_WAY) {
        expect($server, $messages[$i - UNDER_WAY]);
    }
    send_frame($server, $message);
}
stream_socket_shutdown($server, STREAM_SHUT_WR); // that was all; answers still come
foreach (array_slice($messages, -UNDER_WAY) as $message) {
    expect($server, $message);
}
echo recv_frame($server) === null ? "all answered\n" : "too many\n";

function expect($server, string $message): void
{
    if (recv_frame($server) !== $message) {
        exit("another answer\n");
    }
}
