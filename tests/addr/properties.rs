//! What holds for all addresses.

use std::hash::{DefaultHasher, Hash, Hasher};

use afunix::{AddrKind, UnixAddr, UnixDatagram};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes of which many mean something in a path, a name or a text.
fn byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        3 => any::<u8>(),
        2 => proptest::sample::select(b"./@<\\\0\n x0".to_vec()),
        1 => b'a'..=b'z',
    ]
}

fn path() -> impl Strategy<Value = UnixAddr> {
    // No NUL in a path; a filter would give up in long runs.
    vec(byte().prop_map(|byte| byte.max(1)), 1..=108)
        .prop_map(|path| UnixAddr::from_pathname(&path).unwrap())
}

fn name() -> impl Strategy<Value = UnixAddr> {
    vec(byte(), 0..=107).prop_map(|name| UnixAddr::from_abstract_name(&name).unwrap())
}

fn addr() -> impl Strategy<Value = UnixAddr> {
    prop_oneof![4 => path(), 4 => name(), 1 => Just(UnixAddr::UNNAMED)]
}

fn hash(addr: &UnixAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    addr.hash(&mut hasher);
    hasher.finish()
}

/// Undoes what [`UnixAddr::to_text`] does, from its description alone.
fn read_back(text: &str) -> UnixAddr {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        assert!(c == ' ' || c.is_ascii_graphic());
        bytes.push(match c {
            '\\' => match rest.next().unwrap() {
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                '\\' => b'\\',
                'x' => {
                    let hex: String = rest.by_ref().take(2).collect();
                    u8::from_str_radix(&hex, 16).unwrap()
                }
                other => panic!("\\{other} is no escape"),
            },
            plain => u8::try_from(plain).unwrap(),
        });
    }
    let mut after = &bytes[..];
    while let Some(rest) = after.strip_prefix(b"./") {
        after = rest;
    }
    match &bytes[..] {
        b"<unnamed>" => UnixAddr::UNNAMED,
        [b'@', name @ ..] => UnixAddr::from_abstract_name(name).unwrap(),
        _ if after.starts_with(b"@") || after.starts_with(b"<") => {
            UnixAddr::from_pathname(&bytes[2..]).unwrap()
        }
        path => UnixAddr::from_pathname(path).unwrap(),
    }
}

/// More cases than the default, unless `PROPTEST_CASES` says how many.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 4096;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_text_says_which_address_it_is(addr in addr()) {
        prop_assert_eq!(read_back(addr.to_text().as_str()), addr);
    }

    #[test]
    fn the_same_text_is_the_same_address(a in addr(), b in addr()) {
        prop_assert_eq!(a.to_string() == b.to_string(), a == b);
    }

    #[test]
    fn what_was_not_escaped_reads_back(addr in addr()) {
        let text = addr.to_string();
        let whole = match addr.kind() {
            AddrKind::Pathname(path) => path[0] == b'/' && text.as_bytes() == path,
            AddrKind::Abstract(name) => !name.is_empty() && &text.as_bytes()[1..] == name,
            AddrKind::Unnamed => false,
        };
        if whole {
            prop_assert_eq!(UnixAddr::parse(text.as_bytes()), Ok(addr));
        }
    }

    #[test]
    fn plain_text_reads_back_as_it_was(text in "[/@][ -\\[\\]-~]{1,107}") {
        let addr = UnixAddr::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(addr.to_string(), text);
    }

    #[test]
    fn no_bytes_and_no_length_panic(bytes in vec(byte(), 0..=140), addr_len in 0usize..=140) {
        let family = [&1u16.to_ne_bytes()[..], &bytes].concat();
        for bytes in [&bytes, &family] {
            if let Ok(addr) = UnixAddr::from_raw(bytes, addr_len) {
                prop_assert_eq!(UnixAddr::from_raw(addr.as_raw_bytes(), addr.addr_len()), Ok(addr));
            }
        }
        if let Ok(addr) = UnixAddr::parse(&bytes) {
            prop_assert!(!addr.is_unnamed());
        }
        let _ = (UnixAddr::from_pathname(&bytes), UnixAddr::from_abstract_padded(&bytes));
    }

    #[test]
    fn the_raw_bytes_are_the_address(a in addr(), b in addr()) {
        for addr in [a, b] {
            let raw = [addr.as_raw_bytes(), &[0xee]].concat();
            prop_assert_eq!(UnixAddr::from_raw(&raw, addr.addr_len()), Ok(addr));
        }
        prop_assert_eq!(a == b, a.as_raw_bytes() == b.as_raw_bytes());
        prop_assert_eq!(a.cmp(&b), a.as_raw_bytes().cmp(b.as_raw_bytes()));
        prop_assert_eq!(a == b, hash(&a) == hash(&b));
    }

    #[test]
    fn the_kernel_gives_back_each_abstract_name(name in vec(any::<u8>(), 0..=90)) {
        // Behind the pid, so that no other test has it.
        let name = [&std::process::id().to_ne_bytes()[..], b"property", &name].concat();
        let addr = UnixAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind(&addr).unwrap();
        prop_assert_eq!(socket.local_addr(), Ok(addr));
    }
}
