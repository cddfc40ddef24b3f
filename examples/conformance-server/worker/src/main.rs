//! The conformance suite's parties on Workers.

use agents_oauth2_jwt_bearer::AuthOptionsBuilder;
use partyserver_workers::Parties;

fn main() {
    partyserver_workers::serve(|env| {
        let build = |options: AuthOptionsBuilder| options.build_on_web(partyserver_workers::spawn);
        conformance_server::parties(Parties::new(), |name| env.var(name), build)
    });
}
