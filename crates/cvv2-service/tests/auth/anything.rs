//! Whatever comes over the wire is answered, and nothing but a token is believed.

use std::sync::OnceLock;

use cvv2_service::Scope;
use cvv2_service::auth::TokenRequest;
use proptest::prelude::*;

use crate::setup::{NOW, Setup, client};

fn service() -> &'static Setup {
    static SETUP: OnceLock<Setup> = OnceLock::new();
    SETUP.get_or_init(|| Setup::new(vec![client("acme-ivr", &[Scope::Generate], &["IBTF"])]))
}

proptest! {
    #[test]
    fn no_header_is_a_token(header in prop::collection::vec(any::<u8>(), 0..200)) {
        let authenticator = service().auth.authenticator();
        prop_assert!(authenticator.authenticate(Some(&header), None, NOW).is_err());
        let bearer = [b"Bearer ", &header[..]].concat();
        prop_assert!(authenticator.authenticate(Some(&bearer), None, NOW).is_err());
    }

    #[test]
    fn no_parts_are_a_token(parts in "[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}\\.[A-Za-z0-9_-]{0,60}") {
        prop_assert!(service().who(&parts).is_err());
    }

    #[test]
    fn no_body_is_granted(
        body in prop::collection::vec(any::<u8>(), 0..200),
        json in any::<bool>(),
        authorization in prop::option::of(prop::collection::vec(any::<u8>(), 0..60)),
    ) {
        let media: &[u8] =
            if json { b"application/json" } else { b"application/x-www-form-urlencoded" };
        let request = TokenRequest {
            content_type: Some(media),
            authorization: authorization.as_deref(),
            body: &body,
            origin: None,
        };
        let answer = service().auth.token_endpoint().unwrap().token(request, None, NOW);
        prop_assert!(answer.http_status == 400 || answer.http_status == 401);
    }
}
