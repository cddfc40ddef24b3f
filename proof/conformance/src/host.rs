//! The hosts, and what can't hold on one of them.

/// What serves the parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Host {
    /// `partyserver-native`.
    Native,
    /// `partyserver-workers`, on workerd.
    Workers,
}

impl Host {
    /// Why a case can't hold on this host.
    pub(crate) fn exception(self, case: &str) -> Option<&'static str> {
        let (_, reason) = EXCEPTIONS
            .iter()
            .filter(|(host, _)| *host == self)
            .map(|(_, exception)| exception)
            .find(|(name, _)| *name == case)?;
        Some(reason)
    }

    /// How often keys may be fetched where once would do. On Workers a fetch belongs
    /// to a request; one that waits for another's for a second fetches itself.
    pub(crate) fn most_fetches(self) -> u64 {
        match self {
            Self::Native => 1,
            Self::Workers => 3,
        }
    }
}

/// Cases that can't hold, by host, and the reason of each.
const EXCEPTIONS: [(Host, (&str, &str)); 11] = [
    (
        Host::Native,
        (
            "bad_configuration_answers_500",
            "such a server does not start",
        ),
    ),
    (
        Host::Workers,
        (
            "bad_configuration_stops_the_start",
            "a Worker can't refuse to start; it answers 500 and its log says why",
        ),
    ),
    (
        Host::Workers,
        ("port_in_use", "the platform listens, not the Worker"),
    ),
    (
        Host::Workers,
        (
            "second_server_on_the_same_data",
            "the platform owns the storage, and runs one object of a name",
        ),
    ),
    (
        Host::Workers,
        ("unusable_data_folder", "the platform owns the storage"),
    ),
    (
        Host::Workers,
        ("newer_store", "the platform owns the storage's format"),
    ),
    (
        Host::Workers,
        (
            "graceful_stop",
            "the platform ends sockets at a deployment; the Worker is not told",
        ),
    ),
    (
        Host::Workers,
        (
            "refused_sockets_are_capped",
            "nothing is kept of a refused socket, so there is nothing to cap",
        ),
    ),
    (
        Host::Workers,
        (
            "a_slow_reader_is_closed",
            "the platform queues what is sent, and tells nobody how much",
        ),
    ),
    (
        Host::Workers,
        (
            "protocol_errors_close",
            "frames are the platform's to parse, and it is lenient",
        ),
    ),
    (
        Host::Workers,
        (
            "host_names",
            "the platform routes by host name: no other reaches the Worker",
        ),
    ),
];
