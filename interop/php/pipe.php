<?php
// A child that answers on its standard output what comes on its standard input.
require __DIR__ . '/frames.php';

echo_frames(STDIN, STDOUT);
