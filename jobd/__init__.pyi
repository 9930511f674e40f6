from jobd.client.app import Jobd as Jobd
from jobd.client.handle import JobHandle as JobHandle
from jobd.client.job import Job as Job
from jobd.client.queue import Queue as Queue
from jobd.client.task import Task as Task
from jobd.core.errors import BrokerError as BrokerError
from jobd.core.errors import BrokerUnavailable as BrokerUnavailable
from jobd.core.errors import ConfigError as ConfigError
from jobd.core.errors import DeclarationError as DeclarationError
from jobd.core.errors import JobCancelled as JobCancelled
from jobd.core.errors import JobdError as JobdError
from jobd.core.errors import JobFailed as JobFailed
from jobd.core.errors import NotSerializable as NotSerializable
from jobd.core.errors import OptionError as OptionError
from jobd.core.errors import PayloadTooLarge as PayloadTooLarge
from jobd.core.errors import ResultGone as ResultGone
from jobd.core.errors import ResultTimeout as ResultTimeout
from jobd.core.errors import StoreFull as StoreFull
from jobd.core.errors import UnknownTask as UnknownTask
from jobd.core.raised import Discard as Discard
from jobd.core.raised import Retry as Retry
from jobd.core.raised import Snooze as Snooze
from jobd.core.retry import Exponential as Exponential
from jobd.core.retry import Fixed as Fixed
from jobd.core.retry import Linear as Linear
from jobd.core.unique import Unique as Unique

__version__: str
