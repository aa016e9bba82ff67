<?php
// php queue.php FILE: values of kind 1 go back as kind 2, until one is 'bye'. Rust: Typed with PhpSerialize.
const REQUEST = 1;
const ANSWER = 2;

$queue = msg_get_queue(ftok($argv[1], 'q'), 0600);
do {
    msg_receive($queue, REQUEST, $kind, 8192, $value) or exit(1);
    msg_send($queue, ANSWER, $value);
    echo gettype($value), "\n";
} while ($value !== 'bye');
