//! What streams and seqpackets do alike, for the cells.

use afunix::{UnixAddr, UnixListener, UnixSeqpacket, UnixSeqpacketListener, UnixStream};

use crate::name::Name;

/// Our socket of a type that connects.
pub trait Connected: Sized {
    type Listener;

    /// A listener, with what it says of its own name.
    fn listener(name: &Name) -> (Self::Listener, UnixAddr);
    fn accepted(listener: &Self::Listener) -> (Self, UnixAddr);
    fn connected(from: &Name, to: &UnixAddr) -> Self;
    fn names(&self) -> (UnixAddr, UnixAddr);
    fn put(&self, data: &[u8]);
    /// 256 bytes.
    fn get(&self) -> Vec<u8>;
}

macro_rules! impl_connected {
    ($Type:ident, $Listener:ident, $put:expr, $get:expr) => {
        impl Connected for $Type {
            type Listener = $Listener;

            fn listener(name: &Name) -> (Self::Listener, UnixAddr) {
                if let Name::Autobound = name {
                    let (listener, addr) = $Listener::autobind().unwrap();
                    assert_eq!(listener.local_addr(), Ok(addr));
                    return (listener, addr);
                }
                let listener = $Listener::bind(&name.addr()).unwrap();
                let addr = listener.local_addr().unwrap();
                (listener, addr)
            }

            fn accepted(listener: &Self::Listener) -> (Self, UnixAddr) {
                listener.accept().unwrap()
            }

            fn connected(from: &Name, to: &UnixAddr) -> Self {
                match from {
                    Name::Unnamed => Self::connect(to).unwrap(),
                    Name::Autobound => {
                        let (socket, name) = Self::autobind().unwrap();
                        assert_eq!(socket.local_addr(), Ok(name));
                        socket.connect_to(to).unwrap();
                        socket
                    }
                    from => Self::connect_from_to(&from.addr(), to).unwrap(),
                }
            }

            fn names(&self) -> (UnixAddr, UnixAddr) {
                (self.local_addr().unwrap(), self.peer_addr().unwrap())
            }

            fn put(&self, data: &[u8]) {
                assert_eq!($put(self, data), Ok(data.len()));
            }

            fn get(&self) -> Vec<u8> {
                $get(self)
            }
        }
    };
}

impl_connected!(UnixStream, UnixListener, UnixStream::write, |stream: &UnixStream| {
    let (mut buf, mut have) = ([0; 256], 0);
    while have < buf.len() {
        let count = stream.read(&mut buf[have..]).unwrap();
        assert_ne!(count, 0, "the peer sent only {have} bytes");
        have += count;
    }
    buf.to_vec()
});

impl_connected!(
    UnixSeqpacket,
    UnixSeqpacketListener,
    UnixSeqpacket::send,
    |socket: &UnixSeqpacket| {
        let mut buf = [0; 512];
        let received = socket.recv(&mut buf).unwrap();
        assert!(!received.is_truncated());
        buf[..received.bytes].to_vec()
    }
);
