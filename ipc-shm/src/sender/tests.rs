//! What of a batch is there before it is whole.

use super::*;

#[test]
fn a_batch_is_published_in_parts() {
    let (mut tx, rx) = crate::channel().unwrap();
    let mut added = 0;
    while !rx.is_ready() {
        assert!(added < 16 << 10, "{added} bytes are kept back");
        tx.add(&[0; 1000], Wait::Never).unwrap();
        added += 1000;
    }
    assert!(added > 8 << 10, "a part is {added} bytes");
}
