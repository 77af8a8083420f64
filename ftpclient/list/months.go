package list

import (
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// monthNames are the names that C libraries give the twelve months, in short and in full, in lower case and without the
// dot that some of them end with; "-" is no name. No name means two months: Croatian is left out because three of its
// months have the names of other months in Polish and Czech.
var monthNames = [...]string{
	"jan feb mar apr may jun jul aug sep oct nov dec", // English
	"january february march april may june july august september october november december",
	"jan feb mär apr mai jun jul aug sep okt nov dez", // German
	"januar februar märz april mai juni juli august september oktober november dezember",
	"jän feb mär apr mai jun jul aug sep okt nov dez",
	"jänner februar märz april mai juni juli august september oktober november dezember",
	"janv févr mars avril mai juin juil août sept oct nov déc", // French
	"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
	"ene feb mar abr may jun jul ago sep oct nov dic", // Spanish
	"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
	"gen feb mar apr mag giu lug ago set ott nov dic", // Italian
	"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
	"jan fev mar abr mai jun jul ago set out nov dez", // Portuguese
	"janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
	"jan feb mrt apr mei jun jul aug sep okt nov dec", // Dutch
	"januari februari maart april mei juni juli augustus september oktober november december",
	"jan feb mar apr maj jun jul aug sep okt nov dec", // Swedish
	"januari februari mars april maj juni juli augusti september oktober november december",
	"januar februar marts april maj juni juli august september oktober november december", // Danish
	"jan feb mars april mai juni juli aug sep okt nov des",                                // Norwegian
	"januar februar mars april mai juni juli august september oktober november desember",
	"tammi helmi maalis huhti touko kesä heinä elo syys loka marras joulu", // Finnish
	"tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu lokakuu marraskuu joulukuu",
	"jan feb mar apr maí jún júl ágú sep okt nóv des", // Icelandic
	"janúar febrúar mars apríl maí júní júlí ágúst september október nóvember desember",
	"jaan veebr märts apr mai juuni juuli aug sept okt nov dets", // Estonian
	"jaanuar veebruar märts aprill mai juuni juuli august september oktoober november detsember",
	"jan feb mar apr mai jūn jūl aug sep okt nov dec", // Latvian
	"janvāris februāris marts aprīlis maijs jūnijs jūlijs augusts septembris oktobris novembris decembris",
	"saus vas kov bal geg birž liep rugp rugs spal lapkr gruod", // Lithuanian
	"sausio vasario kovo balandžio gegužės birželio liepos rugpjūčio rugsėjo spalio lapkričio gruodžio",
	"sausis vasaris kovas balandis gegužė birželis liepa rugpjūtis rugsėjis spalis lapkritis gruodis",
	"sty lut mar kwi maj cze lip sie wrz paź lis gru", // Polish
	"stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
	"styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
	"led úno bře dub kvě čen čec srp zář říj lis pro", // Czech
	"ledna února března dubna května června července srpna září října listopadu prosince",
	"leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
	"jan feb mar apr máj jún júl aug sep okt nov dec", // Slovak
	"január február marec apríl máj jún júl august september október november december",
	"jan febr márc ápr máj jún júl aug szept okt nov dec", // Hungarian
	"január február március április május június július augusztus szeptember október november december",
	"ian feb mar apr mai iun iul aug sep oct nov dec", // Romanian
	"ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
	"jan feb mar apr maj jun jul avg sep okt nov dec", // Slovenian
	"januar februar marec april maj junij julij avgust september oktober november december",
	"oca şub mar nis may haz tem ağu eyl eki kas ara", // Turkish
	"ocak şubat mart nisan mayıs haziran temmuz ağustos eylül ekim kasım aralık",
	"gen febr març abr maig juny jul ag set oct nov des", // Catalan
	"gener febrer març abril maig juny juliol agost setembre octubre novembre desembre",
	"urt ots mar api mai eka uzt abu ira urr aza abe", // Basque
	"urtarrila otsaila martxoa apirila maiatza ekaina uztaila abuztua iraila urria azaroa abendua",
	"xan feb mar abr mai xuñ xul ago set out nov dec", // Galician
	"xaneiro febreiro marzo abril maio xuño xullo agosto setembro outubro novembro decembro",
	"jan feb mar apr mei jun jul agu sep okt nov des", // Indonesian
	"januari februari maret april mei juni juli agustus september oktober november desember",
	"jan feb mac apr mei jun jul ogos sep okt nov dis", // Malay
	"januari februari mac april mei jun julai ogos september oktober november disember",
	"янв фев мар апр мая июн июл авг сен окт ноя дек", // Russian
	"января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
	"янв фев мар апр май июн июл авг сен окт ноя дек",
	"январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
	"січ лют бер кві тра чер лип сер вер жов лис гру", // Ukrainian
	"січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
	"січень лютий березень квітень травень червень липень серпень вересень жовтень листопад грудень",
	"сту лют сак кра мая чэр ліп жні вер кас ліс сне", // Belarusian
	"студзеня лютага сакавіка красавіка мая чэрвеня ліпеня жніўня верасня кастрычніка лістапада снежня",
	"студзень люты сакавік красавік май чэрвень ліпень жнівень верасень кастрычнік лістапад снежань",
	"яну фев мар апр май юни юли авг сеп окт ное дек", // Bulgarian
	"януари февруари март април май юни юли август септември октомври ноември декември",
	"јан феб мар апр мај јун јул авг сеп окт нов дец", // Serbian
	"јануар фебруар март април мај јун јул август септембар октобар новембар децембар",
	"јануари февруари март април мај јуни јули август септември октомври ноември декември", // Macedonian
	"ιαν φεβ μαρ απρ μαΐ ιουν ιουλ αυγ σεπ οκτ νοε δεκ",                                    // Greek
	"ιανουαρίου φεβρουαρίου μαρτίου απριλίου μαΐου ιουνίου ιουλίου αυγούστου σεπτεμβρίου οκτωβρίου νοεμβρίου δεκεμβρίου",
	"ιαν φεβ μάρ απρ μάι ιούν ιούλ αύγ σεπ οκτ νοέ δεκ",
	"ιανουάριος φεβρουάριος μάρτιος απρίλιος μάιος ιούνιος ιούλιος αύγουστος σεπτέμβριος οκτώβριος νοέμβριος δεκέμβριος",
	"ינו פבר מרץ אפר מאי יונ יול אוג ספט אוק נוב דצמ", // Hebrew
	"ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר",
	"يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر", // Arabic
	"ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اكتبر نوامبر دسامبر",      // Persian
	"ม.ค ก.พ มี.ค เม.ย พ.ค มิ.ย ก.ค ส.ค ก.ย ต.ค พ.ย ธ.ค",                         // Thai
	"มกราคม กุมภาพันธ์ มีนาคม เมษายน พฤษภาคม มิถุนายน กรกฎาคม สิงหาคม กันยายน ตุลาคม พฤศจิกายน ธันวาคม",
	// Short forms of older systems, and forms without accents.
	"- fév - avr - - jui aoû - - - -",
	"janner fev marz - - juin - aout sept - - dec",
	"jaen fevr maer - - - - - - - - -",
	"- fbro mzo ab - - - agto sbre obre nbre dbre",
	"- - mrz - - kesa heina - setiembre paz - -",
	"- subat - - mayis - - agu - - kasim aralik",
}

// legacyEncodings are those with one byte for a letter. A test shows that no name reads as two months in them.
var legacyEncodings = [...]*charmap.Charmap{
	charmap.Windows1252, charmap.Windows1251, charmap.KOI8U, charmap.ISO8859_2, charmap.Windows1250, charmap.ISO8859_5,
	charmap.CodePage866, charmap.ISO8859_7, charmap.Windows1253, charmap.ISO8859_9, charmap.ISO8859_13,
	charmap.CodePage850, charmap.CodePage852,
}

// months is built when the first listing needs it, which those in English never do.
var months = sync.OnceValue(func() map[string]time.Month {
	index := make(map[string]time.Month, 2*12*len(monthNames))
	for _, names := range monthNames {
		for i, name := range strings.Fields(names) {
			if name != "-" {
				index[name] = time.Month(i + 1)
				first, size := utf8.DecodeRuneInString(name)
				index[string(unicode.ToUpper(first))+name[size:]] = time.Month(i + 1)
			}
		}
	}
	return index
})

// monthOf finds a month by its name in any of the languages, with or without a dot, in UTF-8 or an older encoding.
func monthOf(word string) (time.Month, bool) {
	const longest = 40
	word = strings.TrimSuffix(strings.TrimSuffix(word, ","), ".")
	word = strings.TrimPrefix(strings.TrimPrefix(word, "d’"), "d'") // Catalan: "9 d’ag."
	if len(word) < 2 || len(word) > longest {
		return 0, false
	}
	if utf8.ValidString(word) {
		month, ok := months()[word]
		if !ok {
			month, ok = months()[strings.ToLower(word)]
		}
		if ok || isASCII(word) {
			return month, ok
		}
	}
	for _, encoding := range legacyEncodings {
		if month, ok := months()[decode(encoding, word)]; ok {
			return month, true
		}
	}
	return 0, false
}

func isASCII(word string) bool {
	for i := range len(word) {
		if word[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decode returns a word in UTF-8 and in lower case.
func decode(encoding *charmap.Charmap, word string) string {
	buffer := make([]rune, 0, len(word))
	for i := range len(word) {
		buffer = append(buffer, encoding.DecodeByte(word[i]))
	}
	return strings.ToLower(string(buffer))
}

// mark is what Chinese, Japanese and Korean write behind the number of a year, a month or a day.
type mark struct {
	text string
	kind atomKind
}

// marks in UTF-8, GBK, Big5, Shift-JIS, EUC-JP and EUC-KR.
var marks = [...]mark{
	{"月", monthAtom}, {"日", dayAtom}, {"年", yearAtom}, {"월", monthAtom}, {"일", dayAtom}, {"년", yearAtom},
	{"\xd4\xc2", monthAtom}, {"\xc8\xd5", dayAtom}, {"\xc4\xea", yearAtom},
	{"\xa4\xeb", monthAtom}, {"\xa4\xe9", dayAtom}, {"\xa6\x7e", yearAtom},
	{"\x8c\x8e", monthAtom}, {"\x93\xfa", dayAtom}, {"\x94\x4e", yearAtom},
	{"\xb7\xee", monthAtom}, {"\xc6\xfc", dayAtom}, {"\xc7\xaf", yearAtom},
	{"\xbf\xf9", monthAtom}, {"\xc0\xcf", dayAtom}, {"\xb3\xe2", yearAtom},
}
