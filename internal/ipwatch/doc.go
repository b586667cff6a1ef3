// Package ipwatch finds out which address a cluster would see this computer come from, and notices when that
// may have changed.
//
// Authorizing a wrong address opens a cluster to a stranger, so there are two classes of knowledge:
//
//   - A hint ([Hint], [EventSource]) says "look again". It authorizes nothing.
//   - Evidence is what echo services answer over HTTPS with a verified certificate ([Detector.Observe]): on a
//     fresh direct connection of a forced family, never through a proxy, without redirects, status 200, at
//     most 2 KB, the whole body one public address.
//
// [Decide] is the rule that makes a [Verdict] of the answers: an address is confirmed when enough operators
// agree on it, the required one among them, and they are a strict majority of those that gave a valid answer.
// [Detector.Conclude] adds the egress check towards a target's nodes, and [Detector.LocalVerdict] judges the way to
// the nodes of a private cluster. [Standing] says what to do about a conflict that stays. Only [Confirmed] may change a rule, and
// only a confirmed verdict carries an address.
//
// What no quorum can see: whoever carries all packets of this computer (a hostile network) can let the echoes
// and the cluster see an exit of his own. Host keys and SSH authentication stay the real gate.
package ipwatch
