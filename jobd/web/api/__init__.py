"""`/api/v1`: what the dashboard and scripts read and do, as JSON.

One table says all of it (`table`): each `Endpoint` names its method, path, what it takes, what it answers
and the function that does it. The routes (`routes`) and the OpenAPI document (`openapi`) are made of that
table, so that neither can say what the other does not. Functions are blocking and run in threads
(`jobd.web.threads`); the event loop waits for nobody. To add an endpoint, add a row to the list at the end of the
file that it belongs to: queues, jobs, bulk, schedules, alerts or fleet.

Who may ask is the gate's affair (`gate`): GET is for viewers, everything else for operators. An error is a
problem document (RFC 9457, `problems`) with a stable `code`.
"""
