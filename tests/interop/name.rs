//! Names, as this test knows them by itself: bytes made by hand, not by the crate under test.

use std::os::unix::ffi::OsStrExt;

use afunix::{AddrKind, UnixAddr};

use crate::common::{TempDir, unique};

/// Pairs of names: the server's and the client's.
pub type Names = Vec<(Name, Name)>;

/// What a socket is called.
#[derive(Clone, Debug)]
pub enum Name {
    /// Not bound.
    Unnamed,
    /// The kernel picks the name, and [`Name::settle`] learns it.
    Autobound,
    Path(Vec<u8>),
    /// All of the name, without the NUL that marks it.
    Abstract(Vec<u8>),
    /// The beginning of a name that fills `sun_path`.
    Padded(Vec<u8>),
}

impl Name {
    /// The `sockaddr_un` to pass to the kernel, as the peers bind and connect to it.
    pub fn sockaddr(&self) -> Vec<u8> {
        let mut bytes = 1u16.to_ne_bytes().to_vec();
        match self {
            Self::Unnamed | Self::Autobound => {}
            Self::Path(path) => {
                bytes.extend(path);
                bytes.push(0);
                bytes.truncate(110);
            }
            Self::Abstract(name) => {
                bytes.push(0);
                bytes.extend(name);
            }
            Self::Padded(name) => {
                bytes.push(0);
                bytes.extend(name);
                bytes.resize(110, 0);
            }
        }
        bytes
    }

    /// What the kernel reports: with the NUL of a path even where it lies behind `sun_path`.
    pub fn reported(&self) -> Vec<u8> {
        let mut bytes = self.sockaddr();
        if self.is_full_path() {
            bytes.push(0);
        }
        bytes
    }

    pub fn is_full_path(&self) -> bool {
        matches!(self, Self::Path(path) if path.len() == 108)
    }

    /// The address as the crate makes it.
    pub fn addr(&self) -> UnixAddr {
        match self {
            Self::Unnamed => UnixAddr::UNNAMED,
            Self::Autobound => panic!("its name is not known yet"),
            Self::Path(path) => UnixAddr::from_pathname(path).unwrap(),
            Self::Abstract(name) => UnixAddr::from_abstract_name(name).unwrap(),
            Self::Padded(name) => UnixAddr::from_abstract_padded(name).unwrap(),
        }
    }

    /// The name that an autobound socket has got; the others know theirs.
    pub fn settle(self, abstract_name: Option<&[u8]>) -> Self {
        let Self::Autobound = self else { return self };
        let name = abstract_name.expect("an abstract name");
        assert_eq!(name.len(), 5, "{}", name.escape_ascii());
        assert!(name.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        Self::Abstract(name.to_vec())
    }

    /// Panics unless `addr`, which the crate took from the kernel, is this name in every respect.
    #[track_caller]
    pub fn check(&self, addr: &UnixAddr) {
        let (sockaddr, reported) = (self.sockaddr(), self.reported());
        assert_eq!(addr.as_raw_bytes(), sockaddr, "{self:?}");
        assert_eq!(addr.addr_len(), sockaddr.len(), "{self:?}");
        assert_eq!(*addr, self.addr());
        assert_eq!(UnixAddr::from_raw(&reported, reported.len()), Ok(*addr));
        match (self, addr.kind()) {
            (Self::Unnamed, AddrKind::Unnamed) => {}
            (Self::Path(path), AddrKind::Pathname(seen)) => assert_eq!(seen, path),
            (Self::Abstract(_) | Self::Padded(_), AddrKind::Abstract(seen)) => {
                assert_eq!(seen, &sockaddr[3..]);
            }
            (_, seen) => panic!("{self:?} is seen as {seen:?}"),
        }
    }
}

/// A path in `dir` that is `len` bytes long, all `fill` at its end.
fn path(dir: &TempDir, len: usize, fill: u8) -> Name {
    let mut path = dir.path().as_os_str().as_bytes().to_vec();
    path.push(b'/');
    assert!(path.len() < len, "the temporary folder has too long a path");
    path.resize(len, fill);
    Name::Path(path)
}

/// Bytes that no other process and no other call has.
fn token() -> Vec<u8> {
    format!("afunix-interop-{}-{}", std::process::id(), unique()).into_bytes()
}

fn plain() -> Name {
    Name::Abstract(token())
}

pub fn short_path(dir: &TempDir) -> Names {
    let short = dir.path().as_os_str().len() + 2;
    // Paths need not be UTF-8.
    vec![(path(dir, short, b's'), path(dir, short, 0xff))]
}

pub fn path_of_107(dir: &TempDir) -> Names {
    vec![(path(dir, 107, b's'), path(dir, 107, b'c'))]
}

/// The second pair is for peers that cannot have such a name, but can be shown one.
pub fn path_of_108(dir: &TempDir) -> Names {
    vec![(path(dir, 108, b's'), path(dir, 108, b'c')), (path(dir, 107, b's'), path(dir, 108, b'd'))]
}

pub fn abstract_with_nuls(_: &TempDir) -> Names {
    let leading = || Name::Abstract([b"\0", &token()[..]].concat());
    let inner = || Name::Abstract([&token()[..], b"\0\0inner"].concat());
    let trailing = || Name::Abstract([&token()[..], b"\0"].concat());
    vec![(leading(), inner()), (inner(), trailing()), (trailing(), leading())]
}

pub fn abstract_empty_server(_: &TempDir) -> Names {
    vec![(Name::Abstract(Vec::new()), plain())]
}

pub fn abstract_empty_client(_: &TempDir) -> Names {
    vec![(plain(), Name::Abstract(Vec::new()))]
}

pub fn abstract_padded(_: &TempDir) -> Names {
    vec![(Name::Padded(token()), Name::Padded(token()))]
}

pub fn autobound(_: &TempDir) -> Names {
    vec![(Name::Autobound, Name::Autobound)]
}

pub fn unnamed_client(_: &TempDir) -> Names {
    vec![(plain(), Name::Unnamed)]
}
