<?php
// Messages over a stream: unix socket, TCP, FIFO, pipe. A frame is a length of 4 bytes, big-endian, and the message.

function send_frame($stream, string $message): void
{
    $frame = pack('N', strlen($message)) . $message;
    while ($frame !== '') { // fwrite may take a part
        $written = fwrite($stream, $frame);
        if ($written === false || $written === 0) {
            throw new RuntimeException('the peer is gone');
        }
        $frame = substr($frame, $written);
    }
}

/** The next message, or null when the peer has closed between two of them. */
function recv_frame($stream): ?string
{
    $head = read_exactly($stream, 4);
    return $head === null ? null : read_exactly($stream, unpack('N', $head)[1], true);
}

function read_exactly($stream, int $length, bool $inside = false): ?string
{
    $bytes = '';
    while (strlen($bytes) < $length) { // fread gives what is there
        $part = fread($stream, $length - strlen($bytes));
        if ($part === false || $part === '') {
            if ($bytes === '' && !$inside) {
                return null;
            }
            throw new RuntimeException('the stream ended inside a frame');
        }
        $bytes .= $part;
    }
    return $bytes;
}

/** Sends back what comes, until the peer closes. */
function echo_frames($in, $out): int
{
    for ($count = 0; ($message = recv_frame($in)) !== null; $count++) {
        send_frame($out, $message);
    }
    return $count;
}
