<?php
// php client.php unix:///run/app.sock | unix://@app | tcp://127.0.0.1:9501: requests in one go, then their answers.
require __DIR__ . '/frames.php';

$url = str_replace('://@', "://\0", $argv[1]); // an abstract name begins with a zero byte
$server = stream_socket_client($url) ?: exit(1);
$messages = ['', 'hello', "\0\xff\n", str_repeat('x', 100000)];
for ($i = 0; $i < 1000; $i++) {
    $messages[] = "request $i";
}
foreach ($messages as $message) {
    send_frame($server, $message);
}
stream_socket_shutdown($server, STREAM_SHUT_WR); // that was all; answers still come
foreach ($messages as $message) {
    if (recv_frame($server) !== $message) {
        exit("another answer\n");
    }
}
echo recv_frame($server) === null ? "all answered\n" : "too many\n";
