//! The reference channel keeps the contract.

use ipc_core::conformance::reference;

ipc_core::conformance! {
    channel: reference::channel,
    pair: reference::pair,
    except: [
        // It lives in one process.
        processes_exchange_messages,
        a_killed_peer_is_disconnected,
    ],
}
