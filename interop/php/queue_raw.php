<?php
// php queue_raw.php FILE: the same with bytes as they are, until some are 'bye'.
const REQUEST = 1;
const ANSWER = 2;

$queue = msg_get_queue(ftok($argv[1], 'q'), 0600);
$msgmax = (int) file_get_contents('/proc/sys/kernel/msgmax'); // with less, longer messages are errors for ever
do {
    msg_receive($queue, REQUEST, $kind, $msgmax, $bytes, unserialize: false) or exit(1);
    msg_send($queue, ANSWER, $bytes, serialize: false);
} while ($bytes !== 'bye');
