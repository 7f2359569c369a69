//! Our sockets against programs in C and in Python, as server and as client: each type, each kind
//! of address. Both sides say what they saw of both addresses, and it must be the same bytes.
//!
//! | address                        | C   | Python                                             |
//! |--------------------------------|-----|----------------------------------------------------|
//! | short path, with a byte 0xff   | all | all                                                |
//! | path of 107 bytes              | all | all                                                |
//! | path of 108 bytes              | all | as its client's name only: it refuses to name one  |
//! | abstract, NUL at each place    | all | all                                                |
//! | abstract, no bytes             | all | all                                                |
//! | abstract, padded               | all | all                                                |
//! | autobound                      | all | all                                                |
//! | unnamed client                 | all | all                                                |
//!
//! A datagram from an unnamed client is not answered, by nobody: there is nothing to send it to.

#[path = "../common/mod.rs"]
mod common;

mod cell;
mod name;
mod peer;
mod sockets;

/// A test for each kind of address, of one type of socket, one peer and one direction.
macro_rules! matrix {
    ($($module:ident: $direction:ident($peer:ident, $kind:ident);)+) => {
        $(
            mod $module {
                use crate::cell::{Direction, run};
                use crate::name;
                use crate::peer::{Kind, Peer};

                fn each(names: fn(&crate::common::TempDir) -> name::Names) {
                    run(Direction::$direction, Peer::$peer, Kind::$kind, names);
                }

                #[test]
                fn short_path_is_seen_alike_by_both() {
                    each(name::short_path);
                }

                #[test]
                fn path_of_107_bytes_is_seen_alike_by_both() {
                    each(name::path_of_107);
                }

                #[test]
                fn path_of_108_bytes_is_seen_alike_by_both() {
                    each(name::path_of_108);
                }

                #[test]
                fn abstract_name_with_nuls_is_seen_alike_by_both() {
                    each(name::abstract_with_nuls);
                }

                #[test]
                fn abstract_name_of_no_bytes_is_seen_alike_by_both() {
                    crate::common::with_empty_name(|| each(name::abstract_empty));
                }

                #[test]
                fn padded_abstract_name_is_seen_alike_by_both() {
                    each(name::abstract_padded);
                }

                #[test]
                fn autobound_name_is_seen_alike_by_both() {
                    each(name::autobound);
                }

                #[test]
                fn unnamed_client_is_seen_alike_by_both() {
                    each(name::unnamed_client);
                }
            }
        )+
    };
}

matrix! {
    our_stream_serves_c: OursServes(C, Stream);
    our_stream_asks_c: TheirsServes(C, Stream);
    our_datagram_serves_c: OursServes(C, Datagram);
    our_datagram_asks_c: TheirsServes(C, Datagram);
    our_seqpacket_serves_c: OursServes(C, Seqpacket);
    our_seqpacket_asks_c: TheirsServes(C, Seqpacket);
    our_stream_serves_python: OursServes(Python, Stream);
    our_stream_asks_python: TheirsServes(Python, Stream);
    our_datagram_serves_python: OursServes(Python, Datagram);
    our_datagram_asks_python: TheirsServes(Python, Datagram);
    our_seqpacket_serves_python: OursServes(Python, Seqpacket);
    our_seqpacket_asks_python: TheirsServes(Python, Seqpacket);
}
