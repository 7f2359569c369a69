//! Faults to plant, each one that was made before: a fuzz target that does not find its fault
//! would not find another one either.

// Each target uses its own.
#![allow(dead_code)]

use std::fmt::Write;
use std::sync::LazyLock;

use afunix::fuzzing::{self, Text};
use afunix::{AddrKind, DecodeError, UnixAddr};

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
