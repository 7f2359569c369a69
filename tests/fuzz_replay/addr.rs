//! Addresses.

use crate::{below, caught, check_replay, planted};

type Body = fn(&[u8], bool);
const TARGETS: [(&str, Body); 2] =
    [("addr_raw", planted::addr_raw), ("addr_text", planted::addr_text)];

#[test]
fn seeds_replay_and_find_the_planted_fault() {
    for (target, body) in TARGETS {
        check_replay(target, body);
    }
}

#[test]
fn made_up_inputs_replay_and_find_the_planted_fault() {
    let mut below = below();
    for (target, body) in TARGETS {
        let inputs: Vec<Vec<u8>> = (0..4000)
            .map(|_| {
                let len = [below(8), below(32), below(120)][below(3)];
                let bytes: Vec<u8> = (0..len).map(|_| b"\0\0a/@<.\\\n\xff"[below(10)]).collect();
                let mut input = match target {
                    "addr_raw" => {
                        // Mostly the true length and family: else nothing else is looked at.
                        let addr_len = [len + 2, len + 2, len + 3, below(130)][below(4)];
                        let addr_len = u8::try_from(addr_len).expect("a small length");
                        [[addr_len, 0], 1u16.to_ne_bytes()].concat()
                    }
                    _ => vec![u8::try_from(below(len + 1)).expect("a small length")],
                };
                input.extend(bytes);
                input
            })
            .collect();
        let (caught, count) = caught(body, inputs.iter().map(|input| ((), input.as_slice())));
        println!("{target}: {count} inputs, {} find the fault", caught.len());
        assert!(!caught.is_empty() && caught.len() < count);
    }
}

#[test]
fn every_length_against_every_number_of_bytes() {
    for fill in [0, b'p'] {
        for nul_at in [0, 1, 106, 107, 108] {
            let mut bytes = [fill; 130];
            bytes[..2].copy_from_slice(&1u16.to_ne_bytes());
            bytes[2 + nul_at] = 0;
            for addr_len in (0..=130u16).chain([255, 256, 0x0101, u16::MAX - 1, u16::MAX]) {
                for have in 0..=130 {
                    let mut input = addr_len.to_le_bytes().to_vec();
                    input.extend(&bytes[..have]);
                    planted::addr_raw(&input, false);
                }
            }
        }
    }
}

#[cfg(not(miri))]
mod live {
    use std::io;
    use std::mem::size_of;
    use std::time::Instant;

    use afunix::{OwnedFd, UnixAddr, UnixDatagram, UnixSeqpacket, UnixStream};
    use rustix::fd::{AsRawFd, RawFd};

    use crate::{Seeds, check_or_write, common};

    /// What `bind` is given behind the family, by the name of the seed that the kernel answers.
    const BOUND: [(&str, &[u8]); 22] = [
        ("path-1", b"s"),
        ("path-relative", b"folder/s"),
        ("path-absolute", b"/proc/self/cwd/absolute"),
        ("path-with-its-nul", b"with-its-nul\0"),
        ("path-cut-at-nul", b"cut\0behind"),
        ("path-at", b"@at"),
        ("path-dot-slash-at", b"./@at-dots"),
        ("path-angle", b"<unnamed>"),
        ("path-backslash", b"back\\slash\\n"),
        ("path-bytes", b"\xff\x7f\n\r\t\x01 ~"),
        ("path-107", &[b'p'; 107]),
        ("path-108", &[b'p'; 108]),
        ("abstract-empty", b"\0"),
        ("abstract-name", b"\0afunix-seed"),
        ("abstract-at", b"\0at"),
        ("abstract-leading-nul", b"\0\0afunix-seed"),
        ("abstract-inner-nul", b"\0afunix\0seed"),
        ("abstract-trailing-nul", b"\0afunix-seed\0"),
        ("abstract-only-nuls", b"\0\0\0\0\0"),
        ("abstract-bytes", b"\0\xff\x7f\n\r\t\\ <@./"),
        ("abstract-107", &abstract_107()),
        // What a program binds that zeroes the struct and passes its size.
        ("abstract-107-nuls", &[0; 108]),
    ];

    const fn abstract_107() -> [u8; 108] {
        let mut sun_path = [b'n'; 108];
        sun_path[0] = 0;
        sun_path
    }

    /// Pairs whose texts could be mixed up, by the names of the seeds that hold them.
    const PAIRS: [(&str, &str, &str); 9] = [
        ("at-name-and-path", "abstract-at", "path-at"),
        ("at-path-and-dots", "path-at", "path-dot-slash-at"),
        ("unnamed-and-path", "unnamed", "path-angle"),
        ("escapes", "path-bytes", "path-backslash"),
        ("escapes-of-names", "abstract-bytes", "abstract-inner-nul"),
        ("nuls-at-either-end", "abstract-leading-nul", "abstract-trailing-nul"),
        ("nuls-few-and-none", "abstract-only-nuls", "abstract-empty"),
        ("longest", "path-108", "abstract-107"),
        ("absolute-and-name", "path-absolute", "abstract-name"),
    ];

    #[test]
    fn seeds_are_what_the_kernel_says() {
        let _watchdog = common::Watchdog::new();
        let dir = common::TempDir::new();
        let prepare = |command: &mut std::process::Command| {
            command.current_dir(dir.path());
        };
        // Paths are relative to a folder of its own, for they must be the same each time.
        let output =
            common::in_child_with("addr::live::seeds_are_what_the_kernel_says", prepare, || {
                let raw = raw_seeds();
                check_or_write("addr_text", &text_seeds(&raw), is_same);
                check_or_write("addr_raw", &raw, is_same);
            });
        common::assert_success(&output);
    }

    /// The kernel picks another name each time.
    fn is_same(name: &str, seed: &[u8], committed: &[u8]) -> bool {
        match name {
            "abstract-autobind" => hide_digits(seed) == hide_digits(committed),
            _ => seed == committed,
        }
    }

    fn hide_digits(seed: &[u8]) -> Vec<u8> {
        let hide = |byte: &u8| if b"0123456789abcdef".contains(byte) { b'0' } else { *byte };
        seed.iter().map(hide).collect()
    }

    fn raw_seeds() -> Seeds {
        std::fs::create_dir("folder").expect("a fresh folder");
        let mut seeds = Seeds::new();
        for (name, sun_path) in BOUND {
            let socket = bound(sun_path);
            let seed = reply(socket.as_raw_fd(), 128);
            if name == "path-108" {
                // One byte short, as for whoever passes a struct sockaddr_un; and far too short.
                seeds.insert("path-108-without-its-nul".into(), reply(socket.as_raw_fd(), 110));
                seeds.insert("path-108-cut".into(), reply(socket.as_raw_fd(), 8));
            }
            check_local_addr(socket, &seed);
            seeds.insert(name.into(), seed);
        }
        let autobound = bound(b"");
        seeds.insert("abstract-autobind".into(), reply(autobound.as_raw_fd(), 128));
        let (unnamed, _peer) = UnixDatagram::pair().expect("a pair");
        seeds.insert("unnamed".into(), reply(unnamed.as_raw_fd(), 128));
        check_local_addr(unnamed.into(), &seeds["unnamed"]);
        seeds.insert("unnamed-sender".into(), unnamed_sender());
        seeds.insert("other-family".into(), reply(inet().as_raw_fd(), 128));
        seeds
    }

    /// A length, that much of the first address behind its family, and the second one's.
    fn text_seeds(raw: &Seeds) -> Seeds {
        let sun_path = |name: &str| raw[name].get(4..).expect("a length and a family");
        PAIRS
            .iter()
            .map(|(name, one, other)| {
                let (one, other) = (sun_path(one), sun_path(other));
                let mut seed = vec![u8::try_from(one.len()).expect("at most 109 bytes")];
                seed.extend(one);
                seed.extend(other);
                ((*name).into(), seed)
            })
            .collect()
    }

    /// The same answer through our own call, which takes it in place.
    fn check_local_addr(socket: OwnedFd, seed: &[u8]) {
        let [low, high, bytes @ ..] = seed else { panic!("a seed without a length") };
        let addr_len = usize::from(u16::from_le_bytes([*low, *high]));
        // `getsockname` is the same for all three types.
        let ours = UnixDatagram::from_fd_unchecked(socket).local_addr();
        assert_eq!(ours.ok(), UnixAddr::from_raw(bytes, addr_len).ok());
        assert!(ours.is_ok());
    }

    /// A socket that is bound to these bytes. A name may be in use by another run of this test, but
    /// each type has names of its own, and none is held for long.
    fn bound(sun_path: &[u8]) -> OwnedFd {
        let mut addr = 1u16.to_ne_bytes().to_vec();
        addr.extend(sun_path);
        let addr_len = libc::socklen_t::try_from(addr.len()).expect("a short address");
        let start = Instant::now();
        let mut attempt = 0;
        loop {
            let socket: OwnedFd = match attempt % 3 {
                0 => UnixDatagram::unbound().expect("a socket").into(),
                1 => UnixSeqpacket::unbound().expect("a socket").into(),
                _ => UnixStream::unbound().expect("a socket").into(),
            };
            attempt += 1;
            // SAFETY: `addr` is readable for `addr_len` bytes, which are its length.
            let done = unsafe { libc::bind(socket.as_raw_fd(), addr.as_ptr().cast(), addr_len) };
            if done == 0 {
                return socket;
            }
            let error = io::Error::last_os_error();
            let is_taken = error.kind() == io::ErrorKind::AddrInUse;
            assert!(is_taken && start.elapsed() < common::LONG / 2, "{sun_path:?}: {error}");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// What the kernel says the name of a socket is, when there is `room` for it.
    fn reply(socket: RawFd, room: u8) -> Vec<u8> {
        let mut buf = [0xee; 128];
        assert!(usize::from(room) <= buf.len());
        let mut addr_len = libc::socklen_t::from(room);
        // SAFETY: `buf` is writable for `addr_len` bytes, and `addr_len` itself.
        let done = unsafe { libc::getsockname(socket, buf.as_mut_ptr().cast(), &mut addr_len) };
        assert_eq!(done, 0, "{}", io::Error::last_os_error());
        seed(addr_len, &buf[..usize::from(room)])
    }

    /// What the kernel says who sent a message, when that socket has no name.
    fn unnamed_sender() -> Vec<u8> {
        let (a, b) = UnixDatagram::pair().expect("a pair");
        a.send(b"x").expect("a message");
        let mut buf = [0xee; 128];
        let mut addr_len: libc::socklen_t = 128;
        let mut byte = [0u8; 1];
        // SAFETY: `byte` is writable for 1 byte, `buf` for `addr_len` bytes, and `addr_len` itself.
        let count = unsafe {
            libc::recvfrom(
                b.as_raw_fd(),
                byte.as_mut_ptr().cast(),
                size_of::<u8>(),
                0,
                buf.as_mut_ptr().cast(),
                &mut addr_len,
            )
        };
        assert_eq!(count, 1, "{}", io::Error::last_os_error());
        assert_eq!(buf, [0xee; 128], "not even a family");
        seed(addr_len, &buf)
    }

    /// A socket of another family, for a name that is not ours.
    fn inet() -> OwnedFd {
        use rustix::fd::FromRawFd;
        // SAFETY: takes numbers alone.
        let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        assert!(raw >= 0, "{}", io::Error::last_os_error());
        // SAFETY: a new descriptor that only we know of.
        unsafe { OwnedFd::from_raw_fd(raw) }
    }

    /// The format of `addr_raw`: the reported length, low byte first, and what was copied of it.
    fn seed(addr_len: libc::socklen_t, buf: &[u8]) -> Vec<u8> {
        let mut seed = u16::try_from(addr_len).expect("a short address").to_le_bytes().to_vec();
        let copied = buf.len().min(usize::try_from(addr_len).expect("a short address"));
        seed.extend(&buf[..copied]);
        seed
    }
}
