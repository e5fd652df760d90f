"""What differs from Scrapy's defaults, each with its reason."""

from newsarchive.page import MAX_SIZE

BOT_NAME = "newsarchive"
SPIDER_MODULES = ["spiders"]
NEWSPIDER_MODULE = "spiders"
COMMANDS_MODULE = "newsarchive.commands"

#: Folder of posts, captures and index. Relative to where the command runs.
ARCHIVE_DIR = "archive"

#: Bytes after which a run goes on in another WARC file: what one can still copy, check and mend in one go.
CAPTURE_ROTATE_AT = 1_000_000_000

# Git as a publication (`scrapy archive --git`).
#: Who commits posts.
GIT_AUTHOR = "newsarchive <newsarchive@localhost>"
#: Whether commits are signed, with the key that git is told of.
GIT_SIGN = False
#: The work tree that takes the posts. Empty: ARCHIVE_DIR, or the one that it lies in if that has posts of it already.
GIT_REPOSITORY = ""
#: The remote that is pushed to. Empty: the branch's, or the only one.
GIT_REMOTE = ""
#: Seconds that one git command may take: here, and with a remote.
GIT_TIMEOUT = 3600
GIT_REMOTE_TIMEOUT = 600
#: Seconds to wait for somebody else's git that is at work in the repository.
GIT_WAIT = 30

#: Seconds to wait for more articles to commit together: a commit takes its time, however few there are.
COMMIT_PAUSE = 0.05

#: Hours after an article came out at which it is looked at again: newsrooms correct most within a day or three.
RECHECK_HOURS = [1, 6, 24, 72]
#: Whether the Wayback Machine is asked for pages that a publisher has cut down.
WAYBACK = True
#: Whether everything that listings name is asked for again, due or not.
REFRESH = False

# Health: what is usual follows from the runs of the last weeks; see newsarchive/health.
#: Days of which the usual is taken.
HEALTH_WINDOW_DAYS = 28
#: Days, and pages, of which something must be known before it can be unusual.
HEALTH_LEARN_DAYS = 3
HEALTH_LEAST = 100
#: Decimal digits of the chance below which a rate has left its band: 7 is one in ten million. Each run looks at some
#: hundred rates, so that a year of hourly runs holds a million looks, and a false alarm must not be among them.
HEALTH_SURPRISE = 7
#: The same for pages of which the spider itself says that it does not know them.
HEALTH_SURPRISE_LOUD = 5
#: Runs in a row in which a listing, or more articles than usual, must fail: the network has its moments.
HEALTH_PATIENCE = 3
#: Articles that usually come out in a time without any, for it to be called silence; no fewer than twice as many as
#: in the longest pause of late.
HEALTH_SILENCE = 12
#: Days after which a gap that could not be filled is only told, no problem any more.
HEALTH_GAP_DAYS = 14
#: Times of the usual pause between runs after which runs are said to have stopped.
HEALTH_LATE = 3
#: Names of publishers that are not archived any more: nothing is wrong with what is over.
HEALTH_ENDED: list[str] = []
#: Bytes, and days of the usual growth, that the disk must have left.
HEALTH_DISK_FREE = 1_000_000_000
HEALTH_DISK_DAYS = 14

#: Who is told when something breaks, is still broken after a day, or is well again: addresses of Apprise. They hold
#: secrets, and so rather belong into the environment: NEWSARCHIVE_ALERTS, or a file named by NEWSARCHIVE_ALERTS_FILE.
ALERTS: list[str] = []

ITEM_PIPELINES = {
    "pipelines.clean.CleanPipeline": 100,
    "pipelines.validate.ValidatePipeline": 200,
    "pipelines.write_post.WritePostPipeline": 300,
}
#: What is done to an article where it is not read by a crawl itself: the pipelines that are pure functions.
READ_STEPS = ["pipelines.clean.clean", "pipelines.validate.validated"]

#: Whether a process of its own helps to read pages where several are asked for at a time.
READ_PROCESS = True

# Manners: say who asks and where to complain, ask what robots.txt allows, one thing at a time, never in a hurry.
USER_AGENT = "newsarchive/0.1 (+https://github.com/newsarchive/newsarchive)"
ROBOTSTXT_OBEY = True
ROBOTSTXT_USER_AGENT = "newsarchive"
# What is already under way cannot be held back when a publisher asks to be left alone.
CONCURRENT_REQUESTS = 1
CONCURRENT_REQUESTS_PER_DOMAIN = 1
#: Seconds from the end of a host's answer to its next request: never fewer, also across runs, and at least what its
#: robots.txt asks for.
DOWNLOAD_DELAY = 2
#: By how much of the delay chance may make it longer: hosts need not be met by a metronome.
DELAY_JITTER = 0.5
# Scrapy's own also makes it shorter.
DOWNLOAD_DELAY_JITTER = 0
#: Hosts that allow less than others and do not say so: seconds between two requests, if more than the delay, and to be
#: left alone after a 429, if more than it asks for. The Wayback Machine's CDX server takes 24 questions a minute,
#: reckoned over five; whoever goes on after a 429 for a minute is locked out for an hour.
STRICT_HOSTS = {"web.archive.org": (3, 300)}
#: Seconds: a host whose robots.txt asks for a longer delay is not asked at all, as a run would take days.
CRAWL_DELAY_MAX = 60
#: Requests that a publisher gets in a UTC day, by all runs together; 0 for no end. CNA publishes up to 450 articles a
#: day, each looked at five times, and its listings are asked every hour: some 3,000. The rest is for back-fill.
REQUESTS_PER_DAY = 10_000
#: Pages in a row that a host refuses (403, or proof of being human) before it is asked for no more of them.
BLOCKED_AFTER = 3
#: Seconds: the longest wait a host may ask for with Retry-After, or be in trouble, before the run gives it up.
BACKOFF_MAX = 300
#: Seconds before a host that is in trouble is asked again; doubled each time.
BACKOFF_START = 5
#: Seconds for which a host can have later runs leave it alone, a week: what asks for more is taken for a mistake.
LEAVE_ALONE_MAX = 7 * 24 * 3600
# Whoever may be asked soonest is asked first.
SCHEDULER_PRIORITY_QUEUE = "newsarchive.download.HostQueue"
# With the pauses between them, three more tries outlast half a minute of trouble.
RETRY_TIMES = 3
DEFAULT_REQUEST_HEADERS = {
    # Captures are kept as they come: only codings that every reader of WARC files knows.
    "Accept-Encoding": "gzip, deflate, br",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "zh-Hant,zh-Hans;q=0.9,zh;q=0.8,*;q=0.5",
}
# The newsrooms need not know which listing led to an article.
REFERER_ENABLED = False
COOKIES_ENABLED = False

# Bounds: the defaults allow 1 GiB and 180 seconds a page.
DOWNLOAD_MAXSIZE = MAX_SIZE
DOWNLOAD_WARNSIZE = MAX_SIZE // 2
DOWNLOAD_TIMEOUT = 30
REDIRECT_MAX_TIMES = 5
# Addresses of Chinese words are long, and Scrapy drops those it finds too long without telling the spider.
URLLENGTH_LIMIT = 0
# Each response starts as many tasks as this says, and a page yields one article.
CONCURRENT_ITEMS = 1

# Only the web: a redirect to file: or data: must find nobody to answer it.
DOWNLOAD_HANDLERS = {
    **dict.fromkeys(("http", "https"), "newsarchive.download.AskOnceHandler"),
    **dict.fromkeys(("file", "data", "ftp", "s3")),
}
DOWNLOAD_VERIFY_CERTIFICATES = True
METAREFRESH_ENABLED = False
# Both open a local port on which anybody can run code in this process.
TELNETCONSOLE_ENABLED = False
REMOTE_CONTROL_ENABLED = False

DOWNLOADER_MIDDLEWARES = {
    "scrapy.downloadermiddlewares.offsite.OffsiteMiddleware": None,
    "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
    "scrapy.downloadermiddlewares.redirect.RedirectMiddleware": None,
    "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": None,
    "newsarchive.download.OnSiteMiddleware": 50,
    "newsarchive.download.RobotsMiddleware": 100,
    "newsarchive.whole_body.WholeBodyMiddleware": 590,
    "newsarchive.download.OnSiteRedirectMiddleware": 600,
    # Next to the network: whatever is answered is kept before anybody reads it.
    "newsarchive.store.CaptureMiddleware": 1000,
    # Nearer still, as nothing may happen any more between a request's turn and the network.
    "newsarchive.download.TurnMiddleware": 1010,
}
# Each costs every page its share; nobody here asks how deep a page lies, or copies meta.
SPIDER_MIDDLEWARES = {
    "scrapy.spidermiddlewares.depth.DepthMiddleware": None,
    "scrapy.spidermiddlewares.metacopy.MetaCopyDetectionMiddleware": None,
}
EXTENSIONS = {
    "newsarchive.read_process.PageReader": 10,
    "newsarchive.store.Store": 50,
    "newsarchive.manners.Manners": 60,
    "newsarchive.frontier.Frontier": 60,
    "newsarchive.run.RunExtension": 100,
    "newsarchive.profile.Profile": 150,
    "newsarchive.ledger.Ledger": 200,
    "newsarchive.live.LiveDisplay": 300,
    # The display says more.
    "scrapy.extensions.logstats.LogStats": None,
}
#: Whether a crawl says how far it is; `scrapy crawl` does. "lines" is for several that share a terminal.
LIVE_DISPLAY = False
LOG_FORMATTER = "newsarchive.log.formatter.LogFormatter"
#: Whether each line of the log is a JSON object; otherwise it is for people.
LOG_JSON = False
# Scrapy's handler writes what came from outside as it is, and does not say of whose run.
LOG_INSTALL_ROOT_HANDLER = False
# What is refused or fails is said at WARNING and above; DEBUG names every request besides.
LOG_LEVEL = "INFO"
