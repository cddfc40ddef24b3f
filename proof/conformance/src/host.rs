//! The hosts, and the rules that can't hold on one of them.

/// The host that serves the parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Host {
    /// `partyserver-native`.
    Native,
    /// `partyserver-workers`, on workerd.
    Workers,
    /// `partyserver::testing`, behind `proof/kit-server`.
    Kit,
}

impl Host {
    /// Why a case can't hold on this host.
    pub(crate) fn exception(self, case: &str) -> Option<&'static str> {
        let mut own = EXCEPTIONS.iter().filter(|(host, ..)| *host == self);
        let (_, reason, _) = own.find(|(_, _, cases)| cases.contains(&case))?;
        Some(reason)
    }

    /// How often keys may be fetched when one fetch would be enough. On Workers a fetch
    /// belongs to a request. A request that has waited for another's fetch for one
    /// second begins its own.
    pub(crate) fn most_fetches(self) -> u64 {
        match self {
            Self::Native | Self::Kit => 1,
            Self::Workers => 3,
        }
    }
}

/// Cases that can't hold, by host and reason.
const EXCEPTIONS: [(Host, &str, &[&str]); 14] = [
    (
        Host::Native,
        "such a server does not start",
        &["bad_configuration_answers_500"],
    ),
    (
        Host::Workers,
        "a Worker can't refuse to start; it answers 500 and its log says why",
        &["bad_configuration_stops_the_start"],
    ),
    (
        Host::Workers,
        "the platform listens, not the Worker",
        &["port_in_use"],
    ),
    (
        Host::Workers,
        "the platform owns the storage and its format, and runs one object of a name",
        &[
            "second_server_on_the_same_data",
            "unusable_data_folder",
            "newer_store",
        ],
    ),
    (
        Host::Workers,
        "the platform ends sockets at a deployment; the Worker is not told",
        &["graceful_stop"],
    ),
    (
        Host::Workers,
        "nothing is kept of a refused socket, so there is nothing to cap",
        &["refused_sockets_are_capped"],
    ),
    (
        Host::Workers,
        "the platform queues what is sent, and tells nobody how much",
        &["a_slow_reader_is_closed"],
    ),
    (
        Host::Workers,
        "frames are the platform's to parse, and it is lenient",
        &["protocol_errors_close"],
    ),
    (
        Host::Workers,
        "the platform routes by host name: no other reaches the Worker",
        &["host_names"],
    ),
    (
        Host::Kit,
        "such a server does not start",
        &["bad_configuration_answers_500"],
    ),
    (
        Host::Kit,
        "the kit has no disk: it ends with its process",
        &[
            "ten_thousand_refused_requests_leave_no_trace",
            "owners_survive_a_restart",
            "alarms_outlast_a_kill",
            "second_server_on_the_same_data",
            "unusable_data_folder",
            "newer_store",
        ],
    ),
    (
        Host::Kit,
        "the kit has no wire: a client has what it was sent, and a refused socket costs nothing",
        &["a_slow_reader_is_closed", "refused_sockets_are_capped"],
    ),
    (
        Host::Kit,
        "the kit has no address to guard",
        &["host_names"],
    ),
    (
        Host::Kit,
        "the kit is not stopped, it is dropped",
        &["graceful_stop"],
    ),
];
