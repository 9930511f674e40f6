"""One file a kind of receiver: from a notification to the requests that tell it. Pure: nothing is sent.

    kinds      the table of them
    post       what is sent, whatever its kind
    webhook    the Standard Webhooks specification, with our own JSON
    slack      an incoming webhook of Slack, or of who speaks its language
    pagerduty  the Events API, version 2

The place to edit for another kind: a file here, and its line in `kinds`.
"""
