//! The heads of Swoole's tasks: numbers in a row, little-endian.

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) id: i64,
    pub(super) msg_id: u64,
    /// Bytes that follow.
    pub(super) len: u32,
    pub(super) worker: i16,
    pub(super) kind: u8,
    pub(super) flags: u16,
    pub(super) time: f64,
}

/// Bytes in the head of 6.2.2 and of 2.1.2.
pub(super) const V6: usize = 40;
pub(super) const V2: usize = 12;

impl Head {
    /// `i64 task_id; u64 msg_id; u32 len; i16 src_worker; u8 type; u8 flags; u16 server_fd;
    /// u16 ext_flags; u32 reserved; f64 time`
    pub(super) fn read_v6(head: &[u8; V6]) -> Head {
        Head {
            id: i64::from_le_bytes(field(head, 0)),
            msg_id: u64::from_le_bytes(field(head, 8)),
            len: u32::from_le_bytes(field(head, 16)),
            worker: i16::from_le_bytes(field(head, 20)),
            kind: head[22],
            flags: u16::from_le_bytes(field(head, 26)),
            time: f64::from_le_bytes(field(head, 32)),
        }
    }

    pub(super) fn write_v6(&self) -> [u8; V6] {
        let mut head = [0; V6];
        head[..8].copy_from_slice(&self.id.to_le_bytes());
        head[8..16].copy_from_slice(&self.msg_id.to_le_bytes());
        head[16..20].copy_from_slice(&self.len.to_le_bytes());
        head[20..22].copy_from_slice(&self.worker.to_le_bytes());
        head[22] = self.kind;
        head[26..28].copy_from_slice(&self.flags.to_le_bytes());
        head[32..].copy_from_slice(&self.time.to_le_bytes());
        head
    }

    /// `i32 task_id; u16 len; i16 from; u8 type; u8 0; u16 flags`: in PHP `pack('lSsCCS', ..)`.
    pub(super) fn read_v2(head: &[u8; V2]) -> Head {
        Head {
            id: i32::from_le_bytes(field(head, 0)).into(),
            msg_id: 0,
            len: u16::from_le_bytes(field(head, 4)).into(),
            worker: i16::from_le_bytes(field(head, 6)),
            kind: head[8],
            flags: u16::from_le_bytes(field(head, 10)),
            time: 0.0,
        }
    }

    /// None if the id or the length has no room there.
    pub(super) fn write_v2(&self) -> Option<[u8; V2]> {
        let mut head = [0; V2];
        head[..4].copy_from_slice(&i32::try_from(self.id).ok()?.to_le_bytes());
        head[4..6].copy_from_slice(&u16::try_from(self.len).ok()?.to_le_bytes());
        head[6..8].copy_from_slice(&self.worker.to_le_bytes());
        head[8] = self.kind;
        head[10..].copy_from_slice(&self.flags.to_le_bytes());
        Some(head)
    }
}

fn field<const N: usize>(head: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
