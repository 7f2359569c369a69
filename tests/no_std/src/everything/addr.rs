//! Making addresses, looking at them, comparing them.

use core::cmp::Ordering;
use core::hash::{Hash, Hasher};

use afunix::{ABSTRACT_NAME_MAX, AddrError, AddrKind, DecodeError, SUN_PATH_LEN, UnixAddr};
use rustix::net::addr::SocketAddrArg;

use crate::check::{Failure, opaque};
use crate::{check, get};

pub fn run() -> Result<(), Failure> {
    make()?;
    make_in_place()?;
    read()?;
    decode()?;
    look()?;
    compare()
}

fn make() -> Result<(), Failure> {
    let long = [b'p'; 200];
    for (len, fits) in opaque([(0, false), (1, true), (107, true), (108, true), (109, false)]) {
        let path = opaque(get!(long.get(..len)));
        check!(UnixAddr::from_pathname(path).is_ok() == fits);
        let addr = UnixAddr::from_abstract_name(path);
        check!(addr.is_ok() == (len <= ABSTRACT_NAME_MAX));
        let addr = UnixAddr::from_abstract_padded(path);
        check!(addr.is_ok() == (len <= ABSTRACT_NAME_MAX));
        if let Ok(addr) = addr {
            check!(addr.addr_len() == 2 + SUN_PATH_LEN);
        }
    }
    let nul = UnixAddr::from_pathname(opaque(b"a long path with a \0 in it"));
    check!(nul == Err(AddrError::InteriorNul { position: 19, len: 26 }));
    Ok(())
}

fn make_in_place() -> Result<(), Failure> {
    let mut addr = opaque(UnixAddr::UNNAMED);
    check!(addr.set_pathname(opaque(b"/run/a")).is_ok());
    check!(addr.as_pathname() == Some(opaque(b"/run/a")));
    check!(addr.set_pathname(opaque(b"/run\0a")).is_err());
    check!(addr.set_pathname(opaque(b"")) == Err(AddrError::EmptyPath));
    check!(addr.as_pathname() == Some(opaque(b"/run/a")));
    check!(addr.set_abstract_name(opaque(b"\0name\0")).is_ok());
    check!(addr.set_abstract_name(opaque(&[0; 108])).is_err());
    check!(addr.as_abstract_name() == Some(opaque(b"\0name\0")));
    Ok(())
}

fn read() -> Result<(), Failure> {
    let path = get!(UnixAddr::parse(opaque(b"/run/a")));
    check!(path.kind() == AddrKind::Pathname(opaque(b"/run/a")));
    let name = get!(UnixAddr::parse(opaque(b"@name")));
    check!(name.kind() == AddrKind::Abstract(opaque(b"name")));
    for (text, error) in opaque([
        (&b""[..], AddrError::EmptyText),
        (b"@", AddrError::EmptyName),
        (b"run/a", AddrError::NotAbsolute { first: b'r' }),
        (b"@a\0", AddrError::InteriorNul { position: 2, len: 3 }),
        (&[b'/'; 109], AddrError::PathTooLong { len: 109 }),
        (&[b'@'; 109], AddrError::NameTooLong { len: 108 }),
    ]) {
        check!(UnixAddr::parse(text) == Err(error));
    }
    Ok(())
}

fn decode() -> Result<(), Failure> {
    let addr = get!(UnixAddr::from_raw(opaque(b"\x01\0/a\0behind"), opaque(9)));
    check!(addr.as_pathname() == Some(opaque(b"/a")));
    let full = get!(UnixAddr::from_pathname(opaque(&[b'p'; SUN_PATH_LEN])));
    check!(UnixAddr::from_raw(full.as_raw_bytes(), opaque(111)) == Ok(full));
    for (bytes, addr_len, error) in opaque([
        (&b"\x02\0/a"[..], 4, DecodeError::Family { found: 2 }),
        (b"\x01\0/a", 1, DecodeError::Length { addr_len: 1 }),
        (b"\x01\0/a", usize::MAX, DecodeError::Length { addr_len: usize::MAX }),
        (b"\x01\0/a", 9, DecodeError::Truncated { addr_len: 9, have: 4 }),
    ]) {
        check!(UnixAddr::from_raw(bytes, addr_len) == Err(error));
        let mut same = opaque(full);
        check!(same.set_raw(bytes, addr_len) == Err(error));
        check!(same == full);
    }
    let mut addr = opaque(full);
    check!(addr.set_raw(opaque(b"\x01\0\0name"), opaque(7)).is_ok());
    check!(addr.as_abstract_name() == Some(opaque(b"name")));
    check!(addr.set_raw(opaque(b""), opaque(0)).is_ok());
    check!(addr.is_unnamed());
    Ok(())
}

fn look() -> Result<(), Failure> {
    let full = get!(UnixAddr::from_pathname(opaque(&[b'p'; SUN_PATH_LEN])));
    let cstr = get!(opaque(&full).as_pathname_cstr());
    check!(cstr.to_bytes().len() == SUN_PATH_LEN);
    check!(full.addr_len() == 110 && full.as_raw_bytes().len() == 110);
    check!(full.as_abstract_name().is_none() && !full.is_unnamed());
    let unnamed = opaque(UnixAddr::UNNAMED);
    check!(unnamed.as_pathname().is_none() && unnamed.as_pathname_cstr().is_none());
    check!(unnamed.kind() == AddrKind::Unnamed && unnamed.as_raw_bytes().len() == 2);
    // SAFETY: the pointer and length are not used after the call.
    let lent = unsafe { opaque(&full).with_sockaddr(|_, addr_len| addr_len) };
    check!(lent == 110);
    Ok(())
}

fn compare() -> Result<(), Failure> {
    let path = get!(UnixAddr::from_pathname(opaque(b"a")));
    let name = get!(UnixAddr::from_abstract_name(opaque(b"a")));
    let unnamed = opaque(UnixAddr::UNNAMED);
    check!(path != name && path == opaque(path));
    check!(unnamed.cmp(&name) == Ordering::Less && name < path);
    check!(unnamed.partial_cmp(&unnamed) == Some(Ordering::Equal));
    check!(digest(&path) == digest(&opaque(path)) && digest(&path) != digest(&name));
    check!(digest(&path.kind()) != digest(&name.kind()));
    Ok(())
}

/// FNV-1a, since `core` brings no hasher.
pub fn digest(value: &impl Hash) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut state = Fnv(0xcbf2_9ce4_8422_2325);
    value.hash(&mut state);
    state.finish()
}
