//! What is resident while requests add up.

use crate::Failure;
use crate::child::Resident;
use crate::closed::{self, Until};
use crate::options::Sizes;
use crate::target::Target;

/// What was resident when so many requests had been answered, those of the other measurements not
/// counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests: u32,
    pub(crate) resident: Resident,
}

/// Looks at the start, after a tenth, a half, and all of the requests.
pub(crate) async fn watch(service: &Target<'_>, sizes: &Sizes) -> Result<Vec<Sample>, Failure> {
    let look =
        |requests| Ok::<_, Failure>(Sample { requests, resident: service.server.resident()? });
    let mut samples = vec![look(0)?];
    for requests in [sizes.requests / 10, sizes.requests / 2, sizes.requests] {
        let more = requests - samples.last().map_or(0, |sample| sample.requests);
        closed::run(service, sizes.connections, Until::Requests(more)).await?;
        samples.push(look(requests)?);
    }
    Ok(samples)
}
