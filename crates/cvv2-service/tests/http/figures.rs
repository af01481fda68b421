//! Health and metrics.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use cvv2_service::http::metrics_router;
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::json;

use crate::bank::{EXID, PAN, REQUEST, request};
use crate::home::{GET, Service, VERIFY, verify_request};

#[test]
fn it_is_alive_and_ready() {
    let service = Service::start();
    let reply = service.send("GET", "/healthz", &[], b"");
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"));
    let reply = service.send("GET", "/readyz", &[], b"");
    let ready = json!({
        "ready": true, "engine": true, "keys": true, "store": true, "limits": true, "audit": true,
    });
    assert_eq!((reply.status, reply.json()), (200, ready));
    let records = service.records();
    assert_eq!(records.iter().filter(|record| record["event"] == "readiness").count(), 1);
}

#[test]
fn figures_count_what_happened_and_name_nobody() {
    let service = Service::start();
    service.post("ivr", GET, REQUEST);
    service.post("ivr", GET, REQUEST);
    service.post("ivr", VERIFY, &verify_request("000"));
    service.post("ivr", GET, &request([("body/expiry_date", json!("2702"))]));
    let router = TowerToHyperService::new(metrics_router(Arc::clone(&service.http)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let text = runtime.block_on(async {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let response = router.call(request).await.unwrap();
        assert_eq!(response.status(), 200);
        to_bytes(response.into_body(), 1 << 20).await.unwrap()
    });
    let text = str::from_utf8(&text).unwrap();
    for line in [
        r#"cvv2_requests_total{function="get_cvv2",code="000"} 2"#,
        r#"cvv2_requests_total{function="get_cvv2",code="301"} 1"#,
        r#"cvv2_requests_total{function="verify_cvv2",code="000"} 1"#,
        r#"cvv2_request_duration_seconds_count{function="get_cvv2"} 3"#,
        "cvv2_replayed_messages_total 3",
        r#"cvv2_tokens_total{outcome="issued"} 4"#,
        "cvv2_audit_failing 0",
        r#"cvv2_limit_refusals_total{of="card"} 0"#,
        r#"cvv2_transport_events_total{event="panicked"} 0"#,
        r#"cvv2_cvk_age_days{kcv="08D7B4"}"#,
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for secret in [PAN, EXID, "ivr", "223001"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
