<?php
// php fifo.php IN OUT: sends back through one FIFO what comes through the other.
require __DIR__ . '/frames.php';

$in = fopen($argv[1], 'rb'); // waits until somebody sends; 'r+' would not, and would never see the end
$out = fopen($argv[2], 'wb');
echo echo_frames($in, $out), " messages\n";
