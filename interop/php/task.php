<?php
// php task.php FILE 6|2 DIRECTORY: takes a task of a Swoole server off the queue (kind 1), prints it, and posts
// it again (kind 2), in the layout of 6.2.2 or 2.1.2. Long data lies in a file of the directory.
const TMPFILE = 1;

$queue = msg_get_queue(ftok($argv[1], 'q'), 0600);
msg_receive($queue, 1, $kind, 8192, $message, false) or exit(1);
$v6 = $argv[2] === '6';
$head = unpack($v6
    ? 'qid/Pmsg_id/Vlen/sworker/Ctype/Cflags/vfd/vext_flags/Vreserved/etime'
    : 'lid/Slen/sworker/Ctype/Czero/Sext_flags', $message);
$data = substr($message, $v6 ? 40 : 12);
if ($head['len'] !== strlen($data)) {
    exit('wrong length');
}
if ($head['ext_flags'] & TMPFILE) {
    $path = unpack($v6 ? 'Plength/Z*path' : 'llength/Z*path', $data)['path'];
    $data = file_get_contents($path);
    unlink($path);
    $path = "$argv[3]/swoole.task.php";
    file_put_contents($path, $data);
    $body = pack($v6 ? 'Pa256' : 'la148', strlen($data), $path);
} else {
    $body = $data;
}
echo "$head[id] $head[worker] $head[type] ", strlen($data), "\n";
$message = $v6
    ? pack('qPVsCCvvVe', $head['id'], $head['msg_id'], strlen($body), $head['worker'], 8, 0, 0,
        $head['ext_flags'], 0, $head['time'])
    : pack('lSsCCS', $head['id'], strlen($body), $head['worker'], 7, 0, $head['ext_flags']);
msg_send($queue, 2, $message . $body, false);
