//! The contract, clause by clause.

ipc_core::conformance! {
    channel: || ipc_msgqueue::channel().unwrap(),
    pair: || ipc_msgqueue::pair().unwrap(),
    // A queue has no end of file: that a peer is gone is not noticed.
    except: [
        what_was_sent_comes_before_disconnected,
        a_large_message_comes_before_disconnected,
        sending_to_a_gone_peer_is_disconnected,
        sigpipe_is_never_raised, // the clause ends in Disconnected, too
        a_blocked_receiver_is_told,
        a_blocked_sender_is_told,
        a_gone_endpoint_is_disconnected,
        what_was_sent_comes_though_the_peer_left_some_unread,
        a_killed_peer_is_disconnected,
    ]
}
