//! Faults to plant, each one that was made before: a fuzz target that does not find its fault
//! would not find another one either.

// Each target uses its own.
#![allow(dead_code)]

mod hostile;
pub mod libc_walk;

use std::fmt::Write;
use std::mem;
use std::ptr;
use std::sync::LazyLock;

use afunix::fuzzing::{self, Found, Part, Pushed, Text};
use afunix::{AddrKind, AsFd, AsRawFd, Credentials, DecodeError, OwnedFd, UnixAddr};

/// Whether the environment asks for the faults.
pub fn is_wanted() -> bool {
    static PLANT: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("AFUNIX_PLANT").is_some_and(|value| value == "1"));
    *PLANT
}

pub fn addr_raw(data: &[u8], plant: bool) {
    if plant { fuzzing::addr_raw_with(data, faulty_from_raw) } else { fuzzing::addr_raw(data) }
}

pub fn addr_text(data: &[u8], plant: bool) {
    if plant {
        fuzzing::addr_text_with(data, UnixAddr::parse, faulty_show);
    } else {
        fuzzing::addr_text(data);
    }
}

pub fn cmsg_walk(data: &[u8], plant: bool) {
    if plant {
        fuzzing::cmsg_walk_with(data, libc_walk::walk, faulty_walk);
    } else {
        fuzzing::cmsg_walk(data, libc_walk::walk);
    }
}

pub fn cmsg_round_trip(data: &[u8], plant: bool) {
    let pool = hostile::pool();
    let pool = pool.each_ref().map(AsFd::as_fd);
    if plant {
        fuzzing::cmsg_round_trip_with(data, &pool, faulty_encode);
    } else {
        // SAFETY: they were written, all of them: to see that is what this is for. Even if they were
        // not, there would be the bytes that the buffer was filled with.
        fuzzing::cmsg_round_trip(data, &pool, |bytes| unsafe {
            &*(ptr::from_ref(bytes) as *const [u8])
        });
    }
}

pub fn recv_hostile(data: &[u8], plant: bool) {
    hostile::run(data, if plant { forget_second } else { |_, fd| Some(fd) });
}

/// Takes a name that begins with NUL for the rest of a path, and its last byte for a terminator.
fn faulty_from_raw(bytes: &[u8], addr_len: usize) -> Result<UnixAddr, DecodeError> {
    let addr = UnixAddr::from_raw(bytes, addr_len)?;
    if let AddrKind::Abstract(name @ [0, .., _]) = addr.kind() {
        let cut = UnixAddr::from_abstract_name(&name[..name.len() - 1]);
        return Ok(cut.expect("it was short enough when it was longer"));
    }
    Ok(addr)
}

/// Forgets that a path too may begin with `@`.
fn faulty_show(addr: &UnixAddr, out: &mut Text) -> bool {
    let text = addr.to_text();
    let text = text.as_str();
    let bare = match addr.kind() {
        AddrKind::Pathname([b'@', ..]) => text.strip_prefix("./").unwrap_or(text),
        _ => text,
    };
    out.write_str(bare).is_ok()
}

/// Wants the last message padded too.
fn faulty_walk(data: &[u8], each: &mut dyn FnMut(Found)) {
    libc_walk::walk(data, &mut |found| {
        let is_whole = found.len >= libc_walk::HEADER && found.len <= data.len() - found.at;
        let end = found.at.saturating_add(found.len);
        if is_whole && end.next_multiple_of(size_of::<usize>()) <= data.len() {
            each(found);
        }
    });
}

/// Puts a message where the one before ends, without padding.
fn faulty_encode(room: &mut [u8], parts: &[Part<'_, '_>]) -> Pushed {
    let mut pushed = Pushed { len: 0, results: [Ok(()); 16] };
    for part in parts {
        let (kind, payload): (i32, Vec<u8>) = match part {
            Part::Fds([]) => continue,
            Part::Fds(fds) => (1, fds.iter().flat_map(|fd| fd.as_raw_fd().to_ne_bytes()).collect()),
            Part::Credentials(Credentials { pid, uid, gid }) => {
                let pid = pid.map_or(0, |pid| pid.as_raw_pid());
                let ids = [pid, uid.as_raw() as i32, gid.as_raw() as i32];
                (2, ids.iter().flat_map(|id| id.to_ne_bytes()).collect())
            }
        };
        let len = libc_walk::HEADER + payload.len();
        let message =
            [&len.to_ne_bytes()[..], &1i32.to_ne_bytes(), &kind.to_ne_bytes(), &payload].concat();
        if let Some(to) = room.get_mut(pushed.len..pushed.len + len) {
            to.copy_from_slice(&message);
            pushed.len += len;
        }
    }
    pushed
}

/// Loses the second descriptor of a message.
fn forget_second(at: usize, fd: OwnedFd) -> Option<OwnedFd> {
    if at == 1 {
        mem::forget(fd);
        return None;
    }
    Some(fd)
}
