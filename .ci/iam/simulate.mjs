// Evaluates requests against one identity policy, as IAM would.
// In (stdin, JSON):  {"policy": {…}, "requests": [{"action", "resource", "account", "context": {…}}]}
// Out (stdout, JSON): [{"result": "Allowed" | "ImplicitlyDenied" | "ExplicitlyDenied" | "error", "ignored": […], "detail"}]
// "ignored" are context keys that the service authorization data does not know for the action and resource:
// a test must not rest on a key that EC2 would never send.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const { policy, requests } = JSON.parse(readFileSync(0, 'utf8'))
const results = []
for (const r of requests) {
  const out = await runSimulation(
    {
      request: {
        principal: r.principal,
        action: r.action,
        resource: { resource: r.resource, accountId: r.account },
        contextVariables: r.context ?? {},
      },
      identityPolicies: [{ name: 'emr-accessd', policy }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  )
  results.push({
    result: out.resultType === 'error' ? 'error' : out.overallResult,
    ignored: out.result?.ignoredContextKeys ?? (out.results ?? []).flatMap((x) => x.ignoredContextKeys ?? []),
    detail: out.resultType === 'error' ? JSON.stringify(out.errors) : '',
  })
}
process.stdout.write(JSON.stringify(results))
