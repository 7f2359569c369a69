//! Addresses as values: constants, comparison, errors with numbers, what a failure leaves.

use std::collections::{BTreeSet, HashSet};

use afunix::{ABSTRACT_NAME_MAX, AddrError, AddrKind, DecodeError, Errno, SUN_PATH_LEN, UnixAddr};

/// What each constructor gives is known when the program is compiled.
const fn good(made: Result<UnixAddr, AddrError>) -> UnixAddr {
    match made {
        Ok(addr) => addr,
        Err(_) => panic!("no address"),
    }
}
const PATH: UnixAddr = good(UnixAddr::from_pathname(b"/run/constant.sock"));
const FULL: UnixAddr = good(UnixAddr::from_pathname(&[b'p'; 108]));
const NAME: UnixAddr = good(UnixAddr::from_abstract_name(b"\0constant\0"));
const PADDED: UnixAddr = good(UnixAddr::from_abstract_padded(b"padded"));
const TEXT: UnixAddr = good(UnixAddr::parse(b"@constant"));
const RAW: UnixAddr = match UnixAddr::from_raw(PATH.as_raw_bytes(), PATH.addr_len()) {
    Ok(addr) => addr,
    Err(_) => panic!("no address"),
};

#[test]
fn constants_hold_what_they_were_made_of() {
    assert_eq!(PATH.kind(), AddrKind::Pathname(b"/run/constant.sock"));
    assert_eq!(FULL.kind(), AddrKind::Pathname(&[b'p'; 108]));
    assert_eq!(NAME.kind(), AddrKind::Abstract(b"\0constant\0"));
    let mut padded = [0; 107];
    padded[..6].copy_from_slice(b"padded");
    assert_eq!(PADDED.kind(), AddrKind::Abstract(&padded));
    assert_eq!(TEXT.kind(), AddrKind::Abstract(b"constant"));
    assert_eq!(RAW, PATH);
    const { assert!(UnixAddr::UNNAMED.is_unnamed() && SUN_PATH_LEN == 108) };
    const { assert!(ABSTRACT_NAME_MAX == 107) };
}

#[test]
fn accessors_agree_with_the_kind() {
    for addr in [UnixAddr::UNNAMED, PATH, FULL, NAME, PADDED, TEXT] {
        match addr.kind() {
            AddrKind::Pathname(path) => {
                assert_eq!(addr.as_pathname(), Some(path));
                assert_eq!(addr.as_pathname_cstr().unwrap().to_bytes(), path);
                assert_eq!(addr.as_abstract_name(), None);
                assert_eq!(addr.addr_len(), (path.len() + 3).min(110));
            }
            AddrKind::Abstract(name) => {
                assert_eq!(addr.as_abstract_name(), Some(name));
                assert_eq!((addr.as_pathname(), addr.as_pathname_cstr()), (None, None));
                assert_eq!(addr.addr_len(), name.len() + 3);
            }
            AddrKind::Unnamed => {
                assert_eq!(addr.as_abstract_name(), None);
                assert_eq!((addr.as_pathname(), addr.as_pathname_cstr()), (None, None));
                assert_eq!(addr.addr_len(), 2);
            }
        }
        assert_eq!(addr.is_unnamed(), addr.kind() == AddrKind::Unnamed);
        assert_eq!(addr.as_raw_bytes().len(), addr.addr_len());
        assert_eq!(addr.as_raw_bytes()[..2], 1u16.to_ne_bytes());
    }
}

/// Each with what it says, the errno, and the numbers.
#[test]
fn each_bad_input_is_named_with_its_numbers() {
    let long = [b'a'; 112];
    let text = |start: u8| [&[start][..], &long].concat();
    let table = [
        (UnixAddr::from_pathname(b""), "path is 0 bytes, the least is 1", Errno::INVAL),
        (UnixAddr::from_pathname(&long), "path is 112 bytes, the limit is 108", Errno::NAMETOOLONG),
        (
            UnixAddr::from_pathname(b"a\0b\0"),
            "byte 1 of 4 is NUL, which would cut the address there",
            Errno::INVAL,
        ),
        (
            UnixAddr::from_abstract_name(&long),
            "abstract name is 112 bytes, the limit is 107",
            Errno::NAMETOOLONG,
        ),
        (
            UnixAddr::from_abstract_padded(&long[..108]),
            "abstract name is 108 bytes, the limit is 107",
            Errno::NAMETOOLONG,
        ),
        (UnixAddr::parse(b""), "text is 0 bytes, the least is 2", Errno::INVAL),
        (UnixAddr::parse(b"@"), "text is 1 byte, `@` alone, the least is 2", Errno::INVAL),
        (
            UnixAddr::parse(b"run/a"),
            "text begins with byte 0x72, wanted 0x2f `/` or 0x40 `@`",
            Errno::INVAL,
        ),
        (
            UnixAddr::parse(b"@a\0"),
            "byte 2 of 3 is NUL, which would cut the address there",
            Errno::INVAL,
        ),
        (UnixAddr::parse(&text(b'/')), "path is 113 bytes, the limit is 108", Errno::NAMETOOLONG),
        (
            UnixAddr::parse(&text(b'@')),
            "abstract name is 112 bytes, the limit is 107",
            Errno::NAMETOOLONG,
        ),
    ];
    for (result, says, errno) in table {
        let error = result.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.errno()), (says, errno), "{error:?}");
        // It is an error like any other.
        let _: &dyn core::error::Error = &error;
    }
}

#[test]
fn each_bad_reply_is_named_with_its_numbers() {
    let family = |family: u16| [&family.to_ne_bytes()[..], b"/path"].concat();
    let table = [
        (
            UnixAddr::from_raw(&family(2), 7),
            DecodeError::Family { found: 2 },
            "address family is 2, AF_UNIX is 1",
            Errno::AFNOSUPPORT,
        ),
        (
            UnixAddr::from_raw(&family(1), 1),
            DecodeError::Length { addr_len: 1 },
            "address length is 1, the kernel gives 0, 2, 3 to 110, or 111 for a path of 108 bytes",
            Errno::INVAL,
        ),
        (
            UnixAddr::from_raw(&family(1), 8),
            DecodeError::Truncated { addr_len: 8, have: 7 },
            "address is 8 bytes, only 7 of them are here",
            Errno::OVERFLOW,
        ),
    ];
    for (result, expected, says, errno) in table {
        let error = result.unwrap_err();
        assert_eq!(error, expected);
        assert_eq!((error.to_string().as_str(), error.errno()), (says, errno));
        let _: &dyn core::error::Error = &error;
    }
}

#[test]
fn a_failure_leaves_an_address_that_was_to_be_filled_as_it_was() {
    for before in [UnixAddr::UNNAMED, PATH, FULL, NAME, PADDED] {
        let mut addr = before;
        for len in [0, 109, 128, 129, 4000] {
            addr.set_pathname(&vec![b'z'; len]).unwrap_err();
            assert_eq!(addr, before);
        }
        for len in 1..=108 {
            let mut path = vec![b'z'; len];
            path[len - 1] = 0;
            addr.set_pathname(&path).unwrap_err();
            assert_eq!(addr, before);
            assert_eq!(addr.as_raw_bytes(), before.as_raw_bytes());
        }
        addr.set_abstract_name(&[b'z'; 108]).unwrap_err();
        addr.set_raw(b"", 9).unwrap_err();
        addr.set_raw(&[9; 200], 20).unwrap_err();
        assert_eq!(addr, before);
        // Its C string, too, ends where it did.
        assert_eq!(addr.as_pathname_cstr(), before.as_pathname_cstr());
    }
}

#[test]
fn an_address_filled_again_keeps_nothing_of_the_old_one() {
    let all = [UnixAddr::UNNAMED, PATH, FULL, NAME, PADDED, TEXT];
    for old in all {
        for new in all {
            let mut addr = old;
            match new.kind() {
                AddrKind::Pathname(path) => addr.set_pathname(path).unwrap(),
                AddrKind::Abstract(name) => addr.set_abstract_name(name).unwrap(),
                AddrKind::Unnamed => addr.set_raw(&[], 0).unwrap(),
            }
            assert_eq!((addr, addr.kind()), (new, new.kind()));
            assert_eq!(addr.as_pathname_cstr(), new.as_pathname_cstr());
            let mut addr = old;
            addr.set_raw(new.as_raw_bytes(), new.addr_len()).unwrap();
            assert_eq!((addr, addr.kind()), (new, new.kind()));
        }
    }
}

#[test]
fn order_and_hash_go_by_the_exact_bytes() {
    let name = |name: &[u8]| UnixAddr::from_abstract_name(name).unwrap();
    let path = |path: &[u8]| UnixAddr::from_pathname(path).unwrap();
    let sorted = [
        UnixAddr::UNNAMED,
        name(b""),
        name(b"\0"),
        name(b"\0\0"),
        name(b"a"),
        name(b"a\0"),
        path(b"/a"),
        path(b"/ab"),
        path(&[b'a'; 107]),
        path(&[b'a'; 108]),
    ];
    assert!(sorted.is_sorted());
    let tree: BTreeSet<_> = sorted.into_iter().rev().collect();
    assert!(tree.into_iter().eq(sorted));
    let set: HashSet<_> = sorted.into_iter().chain(sorted).collect();
    assert_eq!(set.len(), sorted.len());
    for (i, a) in sorted.iter().enumerate() {
        for (j, b) in sorted.iter().enumerate() {
            assert_eq!((a == b, a.cmp(b)), (i == j, i.cmp(&j)));
        }
    }
}
